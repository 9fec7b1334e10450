"""The values check themselves at birth."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from optimind.core.events import Sighting
from optimind.core.geometry import iou, sizes
from optimind.core.types import Detections, Frame, Gallery, Template

NOW = datetime(2026, 9, 1, tzinfo=UTC)
BOX = np.array([[0.0, 0.0, 10.0, 10.0]])


@pytest.mark.parametrize(
    ("xyxy", "confidence", "landmarks", "message"),
    [
        (np.zeros((1, 3)), np.ones(1), None, r"xyxy must be \(n, 4\)"),
        (BOX, np.ones(2), None, r"confidence must be \(1,\)"),
        (BOX, np.ones(1), np.zeros((1, 4, 2)), r"landmarks must be \(1, 5, 2\)"),
        (BOX[:, [2, 1, 0, 3]], np.ones(1), None, "x2 > x1"),
        (BOX * np.nan, np.ones(1), None, "finite"),
    ],
)
def test_detections_that_cannot_be(
    xyxy: np.ndarray, confidence: np.ndarray, landmarks: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(xyxy, confidence, landmarks)


@pytest.mark.parametrize(
    ("frontality", "message"),
    [(np.ones(2), r"frontality must be \(1,\)"), (np.full(1, 1.01), "0 to 1"), (np.full(1, np.nan), "0 to 1")],
)
def test_frontality_that_cannot_be(frontality: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(BOX, np.ones(1), None, frontality)


def test_detections_are_picked_by_row() -> None:
    faces = Detections(np.vstack([BOX, BOX + 5]), np.array([0.1, 0.9]), np.zeros((2, 5, 2)), np.array([0.3, 0.7]))
    best = faces[faces.confidence > 0.5]
    assert len(best) == 1
    assert best.xyxy[0, 0] == 5
    assert best.frontality is not None
    assert best.frontality.tolist() == [0.7]
    assert Detections(BOX, np.ones(1))[:1].frontality is None
    assert len(Detections.empty()) == 0


def test_naive_times_are_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        Frame("c", 0, naive, np.zeros((1, 1, 3), np.uint8))
    values = {"camera": "c", "sighting_id": "1", "person_id": "p", "name": "P", "similarity": 1.0, "margin": 1.0}
    rest = {"samples": 1, "embedder": "e", "box": (0.0, 0.0, 1.0, 1.0)}
    with pytest.raises(ValueError, match=r"Sighting\.first_seen_at"):
        Sighting(at=NOW, first_seen_at=naive, last_seen_at=NOW, **values, **rest)  # type: ignore[arg-type]  # a table


def test_a_person_has_one_template() -> None:
    template = Template("a", "A", np.zeros((1, 2)))
    with pytest.raises(ValueError, match="one template"):
        Gallery("e", (template, template))
    with pytest.raises(ValueError, match="n >= 1"):
        Template("a", "A", np.zeros((0, 2)))
    assert (Gallery("e", (template,)).people, Gallery("e", (template,)).samples) == (1, 1)


def test_overlap_and_size() -> None:
    half = BOX + np.array([5.0, 0.0, 5.0, 0.0])
    assert iou(BOX, np.vstack([BOX, half, BOX + 20])).tolist() == [pytest.approx([1.0, 1 / 3, 0.0])]
    assert sizes(BOX).tolist() == [10.0]


def some_faces(n: int, *, seed: int = 0, landmarks: bool = True) -> Detections:
    rng = np.random.default_rng(seed)
    low = rng.uniform(-20, 300, (n, 2))
    points = rng.uniform(0, 300, (n, 5, 2)) if landmarks else None
    return Detections(np.hstack([low, low + rng.uniform(1, 90, (n, 2))]), rng.random(n), points, rng.random(n))


@pytest.mark.parametrize("scale", [2.0, np.array([0.5, 3.0]), np.array([[2.0], [0.25], [1.0]])])
@pytest.mark.parametrize("by", [0, np.array([7, -3]), np.arange(6.0).reshape(3, 2)])
def test_faces_are_moved_to_another_picture_and_back(by: np.ndarray, scale: np.ndarray) -> None:
    faces = some_faces(3)
    moved = faces.moved(by, scale)
    factor, offset = np.broadcast_to(scale, (3, 2)), np.broadcast_to(by, (3, 2))
    assert np.allclose(moved.xyxy[:, :2], faces.xyxy[:, :2] * factor + offset)
    assert faces.landmarks is not None
    assert moved.landmarks is not None
    assert np.allclose(moved.landmarks[:, 4], faces.landmarks[:, 4] * factor + offset)
    assert moved.confidence is faces.confidence
    assert moved.frontality is faces.frontality
    back = moved.moved(-offset / factor, 1 / factor)
    assert np.allclose(back.xyxy, faces.xyxy)


def test_faces_are_put_together() -> None:
    a, b, bare = some_faces(2), some_faces(3, seed=1), some_faces(1, seed=2, landmarks=False)
    both = Detections.joined([a, Detections.empty(), b])
    assert len(both) == 5
    assert both.landmarks is not None
    assert np.array_equal(both.xyxy, np.vstack([a.xyxy, b.xyxy]))
    assert Detections.joined([a, bare]).landmarks is None
    assert Detections.joined([a, bare]).frontality is not None
    assert len(Detections.joined([])) == len(Detections.joined([Detections.empty()])) == 0
