"""How far a face is turned away: a model of a face, turned by known angles and projected."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimind.core.pose import frontality, frontality_in, frontality_of
from optimind.core.types import Detections

# Right, down, towards the camera, in distances of the eyes: eyes, nose, corners of the mouth; last the nose's base.
MODEL = np.array(
    [(-0.5, 0, 0), (0.5, 0, 0), (0, 0.544, 0.45), (-0.4, 0.959, 0), (0.4, 0.959, 0), (0, 0.75, 0.30)], dtype=float
)


def turned(yaw: float, pitch: float = 0.0, roll: float = 0.0, eyes_px: float = 40.0) -> NDArray[np.float64]:
    """The six points (6, 2) of the model, turned by so many degrees, as a camera far away sees them."""
    y, p, r = np.radians((yaw, pitch, roll))
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray((MODEL @ (about_z @ about_y @ about_x).T)[:, :2] * eyes_px + (300, 200))


def five(*poses: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([points[:5] for points in poses])


@given(yaw=st.floats(-80, 80), roll=st.floats(-45, 45), eyes_px=st.floats(8, 400))
def test_frontality_is_the_part_of_a_quarter_turn_that_is_left(yaw: float, roll: float, eyes_px: float) -> None:
    points = turned(yaw, roll=roll, eyes_px=eyes_px)
    wanted = pytest.approx(1 - abs(yaw) / 90, abs=0.02)
    assert frontality(points[None, :5])[0] == wanted
    assert frontality_of(points[[0]], points[[1]], points[[5]])[0] == wanted


@given(yaw=st.floats(-60, 60), pitch=st.floats(-60, 60), roll=st.floats(-180, 180))
def test_yaw_and_pitch_count_together_and_roll_does_not(yaw: float, pitch: float, roll: float) -> None:
    angle = np.degrees(np.arccos(np.cos(np.radians(yaw)) * np.cos(np.radians(pitch))))
    assert frontality(turned(yaw, pitch, roll)[None, :5])[0] == pytest.approx(1 - angle / 90, abs=0.02)


def test_eyes_and_nose_tell_yaw_only() -> None:
    points = turned(0, 30)
    assert frontality_of(points[[0]], points[[1]], points[[5]])[0] == pytest.approx(1)


@given(points=st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=5, max_size=5))
def test_any_points_have_a_frontality(points: list[tuple[float, float]]) -> None:
    landmarks = np.array([points])
    assert 0 <= frontality(landmarks)[0] <= 1
    assert 0 <= frontality_of(landmarks[:, 0], landmarks[:, 1], landmarks[:, 2])[0] <= 1


def test_eyes_in_one_place_are_a_profile() -> None:
    eye, nose, mouth = (0.0, 0.0), (45.0, 54.4), (0.0, 95.9)
    assert frontality(np.array([[eye, eye, nose, mouth, mouth]]))[0] < 0.05
    assert frontality_of(np.array([eye]), np.array([eye]), np.array([nose]))[0] < 0.01


def test_what_the_detector_says_counts_before_landmarks() -> None:
    box, one = np.array([[0.0, 0.0, 9.0, 9.0]]), np.ones(1)
    landmarks = five(turned(45))
    assert frontality_in(Detections(box, one)) is None
    told = frontality_in(Detections(box, one, landmarks, np.array([0.9])))
    computed = frontality_in(Detections(box, one, landmarks))
    assert told is not None
    assert computed is not None
    assert told.tolist() == [0.9]
    assert computed[0] == pytest.approx(0.5, abs=0.02)


def test_nobody_has_none() -> None:
    assert frontality(np.empty((0, 5, 2))).shape == (0,)
    assert frontality_of(np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2))).shape == (0,)


@pytest.mark.shared
def test_portraits_look_into_the_camera_and_some_do_not(shared: Path) -> None:
    detector = cv2.FaceDetectorYN.create(str(shared / "models/yunet.onnx"), "", (250, 250), 0.6, 0.3, 500)

    def of(name: str) -> float:
        picture = cv2.imread(str(shared / "data/faces" / name.rsplit("_", 1)[0] / f"{name}.jpg"))
        assert picture is not None
        _, found = detector.detect(picture)
        middle = np.abs(found[:, :2] + found[:, 2:4] / 2 - 125).sum(axis=1).argmin()
        return float(frontality(found[[middle], 4:14].reshape(1, 5, 2).astype(float))[0])

    assert of("George_Clooney_0002") < 0.45
    assert of("John_Sununu_0001") < 0.45
    assert of("Milo_Maestrecampo_0002") > 0.7
