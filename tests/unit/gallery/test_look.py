"""Looking at one photograph: how close, how often, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from optimind.gallery import look
from optimind.gallery.outcome import Outcome
from optimind.plugin_api import Detections, Detector, Embedded, Embedder, Image
from optimind.testing.engines import FakeDetector, FakeEmbedder, blank, paint_face


class Watched(FakeDetector):
    """Notes the size of every picture that it is shown; ``phantoms``: at these widths it sees one face too many."""

    def __init__(self, *phantoms: int) -> None:
        super().__init__(40)
        self.shown: list[int] = []
        self.phantoms = phantoms

    def detect(self, image: Image) -> Detections:
        width = image.shape[1]
        self.shown.append(width)
        found = super().detect(image)
        if width not in self.phantoms:
            return found
        ghost = np.array([[0.0, 0.0, 60.0, 60.0]])
        return Detections(np.vstack([found.xyxy, ghost]), np.append(found.confidence, 0.1))


def photograph(folder: Path, width: int, height: int, *faces: tuple[int, int, int, int]) -> str:
    picture = blank(width, height)
    for face in faces:
        paint_face(picture, *face)
    path = folder / "x.png"
    assert cv2.imwrite(str(path), picture)
    return str(path)


def look_alone(path: str, detector: Detector, embedder: Embedder) -> Outcome:
    (outcome,) = look.look_at([path], detector, embedder)
    return outcome


@pytest.mark.parametrize(
    ("size", "face_px", "shown"),
    [
        ((120, 110), 100, [120]),  # small: as it is
        ((300, 200), 150, [121]),  # a portrait: a glance is enough
        ((300, 200), 110, [121, 200]),  # small in the glance: a smaller one beside it could matter
        ((1200, 900), 500, [121]),
        ((1200, 900), 300, [121, 200]),
        ((1200, 900), 120, [121, 200, 480]),
        ((1200, 900), 60, [121, 200, 480, 1200]),
        ((6000, 4500), 3000, [121]),
        ((1200, 900), 0, [121, 200, 480, 1200]),  # nobody, and no use in enlarging it
        ((400, 300), 0, [121, 200, 400, 800]),  # nobody: perhaps the face is too small
    ],
)
def test_it_looks_no_closer_than_needed(tmp_path: Path, size: tuple[int, int], face_px: int, shown: list[int]) -> None:
    detector = Watched()
    faces = [(3, 10, 10, face_px)] if face_px else []
    outcome = look_alone(photograph(tmp_path, *size, *faces), detector, FakeEmbedder.create())
    assert detector.shown == shown
    assert outcome.reason == ("" if face_px else "no_face")


class Hasty(Watched):
    """Notes the sizes at which only a portrait is looked for as well."""

    def __init__(self, *phantoms: int) -> None:
        super().__init__(*phantoms)
        self.hasty: list[int] = []

    def find_portrait(self, image: Image) -> Detections:
        self.hasty.append(image.shape[1])
        return super().find_portrait(image)


@pytest.mark.parametrize(
    ("size", "faces", "phantoms", "widths"),
    [
        ((300, 200), [(3, 10, 10, 150)], (), ([121], [])),
        ((300, 200), [(3, 10, 10, 150)], (121,), ([121], [144])),  # there is no other after all
        ((300, 200), [(3, 145, 45, 150)], (121, 144), ([121], [144, 163])),
        ((400, 200), [(3, 10, 10, 170), (4, 200, 10, 170)], (), ([121], [144, 163])),
        ((220, 200), [(3, 10, 10, 60), (4, 110, 10, 60)], (), ([121, 200], [220, 249])),  # never more than all pixels
        ((120, 110), [(3, 10, 10, 100)], (), ([], [120])),
    ],
)
def test_where_a_glance_shows_several_the_detector_decides(
    tmp_path: Path,
    size: tuple[int, int],
    faces: list[tuple[int, int, int, int]],
    phantoms: tuple[int, ...],
    widths: tuple[list[int], list[int]],
) -> None:
    detector = Hasty(*phantoms)
    outcome = look_alone(photograph(tmp_path, *size, *faces), detector, FakeEmbedder.create())
    assert (detector.hasty, [width for width in detector.shown if width not in detector.hasty]) == widths
    assert outcome.reason == ("several_faces" if len(faces) > 1 else "")


class Turned(FakeDetector):
    """Every face looks a little away."""

    def detect(self, image: Image) -> Detections:
        found = super().detect(image)
        return Detections(found.xyxy, found.confidence, found.landmarks, np.full(len(found), 0.7))


@pytest.mark.parametrize("size", [(1200, 900), (300, 200)])
def test_pose_and_light_are_told(tmp_path: Path, size: tuple[int, int]) -> None:
    path = photograph(tmp_path, *size, (3, 10, 10, size[1] // 2))
    told = look_alone(path, Turned.create(40), FakeEmbedder.create())
    assert told.frontality == 0.7
    assert told.light > 0.95
    # From the landmarks, where the detector does not say; the painted face looks into the camera.
    assert look_alone(path, FakeDetector.create(40), FakeEmbedder.create()).frontality > 0.8


def test_a_detector_that_cannot_tell_is_given_the_benefit_of_the_doubt(tmp_path: Path) -> None:
    class Blunt(FakeDetector):
        def detect(self, image: Image) -> Detections:
            found = super().detect(image)
            return Detections(found.xyxy, found.confidence)

    path = photograph(tmp_path, 300, 200, (3, 10, 10, 100))
    assert look_alone(path, Blunt.create(40), FakeEmbedder.create()).frontality == 1


def test_a_face_in_a_thumbnail_is_called_too_small(tmp_path: Path) -> None:
    path = photograph(tmp_path, 80, 60, (3, 10, 10, 30))
    outcome = look_alone(path, FakeDetector.create(40), FakeEmbedder.create())
    assert (outcome.reason, outcome.detail) == ("too_small", "the face is 30 px wide, 40 are needed")


def test_what_is_seen_at_one_size_only_is_no_second_person(tmp_path: Path) -> None:
    path = photograph(tmp_path, 400, 300, (3, 60, 100, 80))
    once, twice = Watched(400), Watched(400, 452)
    assert look_alone(path, once, FakeEmbedder.create()).reason == ""
    assert once.shown == [121, 200, 400, 452]
    assert look_alone(path, twice, FakeEmbedder.create()).reason == "several_faces"


def test_two_people_are_seen_twice(tmp_path: Path) -> None:
    path = photograph(tmp_path, 400, 300, (3, 200, 100, 80), (4, 50, 100, 80))
    assert look_alone(path, FakeDetector.create(40), FakeEmbedder.create()).reason == "several_faces"


def test_of_faces_that_are_never_seen_again_all_count(tmp_path: Path) -> None:
    class Fickle(Watched):
        def detect(self, image: Image) -> Detections:
            return super().detect(image) if image.shape[1] == 400 else Detections.empty()

    path = photograph(tmp_path, 400, 300, (3, 200, 100, 80), (4, 50, 100, 80))
    assert look_alone(path, Fickle(), FakeEmbedder.create()).reason == "several_faces"


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_an_unreadable_file_is_an_outcome(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    outcome = look_alone(str(tmp_path / "x.jpg"), FakeDetector.create(40), FakeEmbedder.create())
    assert outcome.reason == "unreadable"
    # Its content is known, so that it need not be read again.
    assert len(outcome.sha256) == 64


def test_a_vanished_file_is_an_outcome_that_is_not_remembered(tmp_path: Path) -> None:
    outcome = look_alone(str(tmp_path / "x.jpg"), FakeDetector.create(40), FakeEmbedder.create())
    assert (outcome.reason, outcome.sha256) == ("unreadable", "")


class Counting(FakeEmbedder):
    """Notes how many photographs it was given at a time."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
        self.given.append(len(pictures))
        return super().embed_all(pictures)


@pytest.mark.parametrize(("held_px", "given"), [(4_000_000, [5]), (2 * 300 * 200, [3, 2]), (0, [1, 1, 1, 1, 1])])
def test_faces_are_embedded_together_as_far_as_the_pictures_may_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_px: int, given: list[int]
) -> None:
    monkeypatch.setattr(look, "HELD_PX", held_px)
    paths = []
    for person in range(7):
        (tmp_path / str(person)).mkdir()
        face = [] if person in (2, 6) else [(person, 10, 10, 150)]
        paths.append(photograph(tmp_path / str(person), 300, 200, *face))
    embedder, watched = Counting(), list[list[int]]()
    outcomes = look.look_at(paths, FakeDetector.create(40), embedder, lambda numbers: watched.append(list(numbers)))
    assert embedder.given == given
    assert [o.reason for o in outcomes] == ["no_face" if person in (2, 6) else "" for person in range(7)]
    assert [o.embedding.argmax() for o in outcomes if o.embedding is not None] == [0, 1, 3, 4, 5]
    alone = [look_alone(path, FakeDetector.create(40), Counting()) for path in paths]
    assert [(o.picture, o.sharpness) for o in outcomes] == [(o.picture, o.sharpness) for o in alone]
    assert [numbers for numbers in watched if len(numbers) == 1][:2] == [[0], [1] if held_px else [0]]
    assert sum(len(numbers) for numbers in watched) == 7 + 5


def test_an_embedder_that_returns_too_little_is_at_fault(tmp_path: Path) -> None:
    class Forgetful(FakeEmbedder):
        def embed_all(self, pictures: Sequence[tuple[Image, Detections]]) -> list[Embedded]:
            return super().embed_all(pictures)[1:]

    path = photograph(tmp_path, 300, 200, (3, 10, 10, 150))
    with pytest.raises(ValueError, match="shorter"):
        look.look_at([path, path], FakeDetector.create(40), Forgetful())
