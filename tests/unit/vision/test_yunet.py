"""YuNet gives what OpenCV's own reading of the same network gives."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from optimind.plugin_api import Detections, EngineError, Image
from optimind.vision._yunet import CONFIDENCE, YuNet, merged


@pytest.fixture(scope="module")
def file(shared: Path) -> Path:
    return shared / "models" / "yunet.onnx"


@pytest.fixture(scope="module")
def network(file: Path) -> YuNet:
    return YuNet(file, threads=1)


def read(path: Path) -> Image:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


@pytest.mark.parametrize("name", ["2008_002079.jpg", "2008_001009.jpg", "two_people.jpg", "lin-manuel-miranda.png"])
@pytest.mark.parametrize("confidence", [CONFIDENCE, 0.4])
def test_it_agrees_with_opencv(network: YuNet, file: Path, shared: Path, name: str, confidence: float) -> None:
    picture = read(shared / "data" / "photos" / name)
    reference = cv2.FaceDetectorYN.create(str(file), "", picture.shape[1::-1], confidence, 0.3, 5000)
    rows = np.asarray(reference.detect(picture)[1], dtype=np.float64)
    rows = rows[np.argsort(-rows[:, 14])]
    found = network.detect(picture, confidence)
    assert len(found) == len(rows) > 0
    assert found.landmarks is not None
    assert np.abs(found.xyxy - np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])).max() < 0.01
    assert np.abs(found.landmarks - rows[:, 4:14].reshape(-1, 5, 2)).max() < 0.01
    assert np.abs(found.confidence - rows[:, 14]).max() < 1e-4
    # The documented order: of a pair, the one further left first.
    assert (found.landmarks[:, 0, 0] < found.landmarks[:, 1, 0]).all()
    assert (found.landmarks[:, 3, 0] < found.landmarks[:, 4, 0]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (33, 31), (320, 320)])
def test_any_size_is_taken(network: YuNet, size: tuple[int, int]) -> None:
    found = network.detect(np.full((*size, 3), 128, np.uint8))
    assert len(found) == 0
    assert found.landmarks is not None
    assert found.landmarks.shape == (0, 5, 2)


def test_another_network_is_no_yunet(shared: Path) -> None:
    with pytest.raises(EngineError, match=r"mobilefacenet\.onnx is no YuNet"):
        YuNet(shared / "models" / "mobilefacenet.onnx", threads=1)


def boxes(*rows: tuple[float, float, float, float, float]) -> Detections:
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4], np.repeat(table[:, None, :2], 5, axis=1))


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ([boxes()], []),
        ([boxes((0, 0, 10, 10, 0.8), (100, 0, 110, 10, 0.9))], [0.9, 0.8]),
        ([boxes((0, 0, 10, 10, 0.8)), boxes((1, 1, 11, 11, 0.9))], [0.9]),
        ([boxes((0, 0, 10, 10, 0.9)), boxes((6, 0, 16, 10, 0.8))], [0.9, 0.8]),  # a quarter in common
        # The middle one covers the outer two; it is the least sure, so it goes and they stay.
        ([boxes((0, 0, 10, 10, 0.9), (4, 0, 14, 10, 0.7), (8, 0, 18, 10, 0.8))], [0.9, 0.8]),
    ],
)
def test_each_face_is_told_once(found: list[Detections], kept: list[float]) -> None:
    faces = merged(found)
    assert faces.confidence.tolist() == kept
    assert faces.landmarks is not None
    assert np.array_equal(faces.landmarks[:, 0], faces.xyxy[:, :2])
