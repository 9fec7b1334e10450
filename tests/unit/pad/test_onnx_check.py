"""The check by a network, with tiny networks that the tests write themselves: bright is alive, dark a picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from liveness_networks import described, write_network

from optimind.pad.onnx import LivenessNetwork, OnnxCheck, OnnxSettings, cut_around
from optimind.plugin_api import EngineError, Image, Model, ModelStore, PadState
from optimind.weights.description import ModelDescription

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
BOX = (100.0, 60.0, 150.0, 120.0)
BRIGHT: Image = np.full((240, 320, 3), 200, np.uint8)
DARK: Image = np.full((240, 320, 3), 55, np.uint8)


def model(tmp_path: Path, *, outputs: int = 2, batch: int | str = 1, size_px: int = 16, **pad: Any) -> Model:
    path = write_network(tmp_path / "tiny.onnx", outputs=outputs, batch=batch, size_px=size_px)
    return Model(ModelDescription.model_validate(described(path, **pad)), path, is_own=True)


def network(tmp_path: Path, **changes: Any) -> LivenessNetwork:
    return LivenessNetwork(model(tmp_path, **changes), threads=1)


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


# The value of a bright pixel is (200 - 127.5) * 0.02 = 1.45; number 1 is that, number 0 the same below zero.
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, sigmoid(2.9)),
        ({"batch": "n"}, sigmoid(2.9)),
        ({"bona_fide": 0}, sigmoid(-2.9)),
        ({"activation": "sigmoid"}, sigmoid(1.45)),
        ({"activation": "none", "scale": 0.005}, 0.3625),
        ({"activation": "none", "scale": 1}, 1.0),
        ({"scale": [0.02, 0.04, 0.06]}, sigmoid(5.8)),
        ({"mean": [127.5, 200, 272.5]}, sigmoid(0)),
        ({"outputs": 1, "bona_fide": 0, "activation": "sigmoid"}, sigmoid(-1.45)),
        ({"input": "face", "output": "said"}, sigmoid(2.9)),
    ],
)
def test_it_is_fed_and_read_as_described(tmp_path: Path, changes: dict[str, Any], expected: float) -> None:
    assert network(tmp_path, **changes).liveness(BRIGHT, BOX) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("channels", "expected"), [("BGR", sigmoid(2 * 2.55 / 3)), ("RGB", sigmoid(-2 * 2.55 / 3))])
def test_channels_come_in_the_described_order(tmp_path: Path, channels: str, expected: float) -> None:
    blue = np.zeros_like(BRIGHT)
    blue[..., 0] = 255
    # Only the first channel counts, and it counts twice.
    net = network(tmp_path, channels=channels, mean=[127.5, 0, 0], scale=[0.02, 1e-9, 1e-9])
    assert net.liveness(blue, BOX) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size_px": 32}, r"it takes \[1, 3, 32, 32\], and \[1, 3, 16, 16\] is described"),
        ({"batch": 4}, "is described"),
        ({"input": "picture"}, "it has the inputs face and the outputs said"),
        ({"output": "answer"}, "it has the inputs face and the outputs said"),
    ],
)
def test_a_network_that_is_not_as_described_is_said(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        network(tmp_path, **changes)
    assert "models add" in caught.value.mend


def test_a_number_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="it gives 2 numbers, and bona_fide is 2"):
        network(tmp_path, bona_fide=2).liveness(BRIGHT, BOX)


@pytest.mark.parametrize(
    ("box", "scale", "expected"),
    [
        ((100, 60, 120, 100), 2.0, (90, 40, 130, 120)),
        ((0, 0, 20, 40), 2.0, (0, 0, 40, 80)),
        ((300, 200, 320, 240), 2.0, (280, 160, 320, 240)),
        ((100, 0, 200, 200), 3.0, (90, 0, 210, 240)),
        ((-5, 60, 15, 100), 1.0, (0, 60, 20, 100)),
    ],
)
def test_what_is_around_a_face_is_kept_inside_the_picture(
    box: tuple[float, float, float, float], scale: float, expected: tuple[int, int, int, int]
) -> None:
    rows, columns = np.mgrid[0:240, 0:320]
    part = cut_around(np.stack([rows, columns // 2, columns % 2], axis=2).astype(np.uint8), box, scale)
    assert part is not None
    left, top = 2 * int(part[0, 0, 1]) + int(part[0, 0, 2]), int(part[0, 0, 0])
    assert (left, top, left + part.shape[1], top + part.shape[0]) == expected


@pytest.mark.parametrize("box", [(-60, 0, -10, 50), (0, 250, 50, 300), (10, 10, 10, 50)])
def test_a_face_beside_the_picture_is_not_shown(box: tuple[float, float, float, float]) -> None:
    assert cut_around(BRIGHT, box, 2.0) is None


def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> OnnxCheck:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    ModelStore().add(model(tmp_path).description)
    return OnnxCheck.create(OnnxSettings(model="tiny", threads=1, **settings))


def looks(subject: OnnxCheck, *images: Image) -> list[PadState]:
    return [
        subject.observe("1", image, BOX, START + timedelta(seconds=number)).state for number, image in enumerate(images)
    ]


def test_the_mean_of_a_few_looks_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = check(tmp_path, monkeypatch, looks=3)
    undecided = PadState.UNDECIDED
    assert looks(subject, DARK, BRIGHT, DARK) == [undecided, undecided, PadState.SUSPECTED]
    verdict = subject.observe("1", BRIGHT, BOX, START)  # not looked at any more
    assert verdict.is_final
    assert verdict.reason == "the network for presentation attacks took the face for a picture (0.35 of 1)"
    subject.forget("1")
    assert looks(subject, BRIGHT, DARK, BRIGHT) == [undecided, undecided, PadState.BONA_FIDE]


@pytest.mark.parametrize(("threshold", "state"), [(0.01, PadState.BONA_FIDE), (0.99, PadState.SUSPECTED)])
def test_the_threshold_may_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: float, state: PadState
) -> None:
    subject = check(tmp_path, monkeypatch, looks=1, threshold=threshold)
    assert looks(subject, BRIGHT if threshold > 0.5 else DARK) == [state]


def test_a_model_of_another_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
    with pytest.raises(EngineError, match="yunet is no pad, but a detector") as caught:
        OnnxCheck.create(OnnxSettings(model="yunet"))
    assert "minifasnet-v2" in caught.value.mend
    with pytest.raises(EngineError, match="minifasnet-v2 is not here") as caught:
        OnnxCheck.create(OnnxSettings())
    assert caught.value.mend == "python main.py models pull minifasnet-v2"
