"""Tracks hold where people cross: the loop on a real street scene, against a truth that was made by hand and eye.

`python -m benchmarks tracking` measures more, and the usual tracker beside it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.engines_here import MIN_FACE_PX, engines_here
from benchmarks.tracking import TRUTH, gallery_of_others, our_figures
from benchmarks.tracking_truth import read_truth

MEASURED = [
    pytest.param("fp32", 1, 1, 0, 0.90, marks=pytest.mark.slow),
    pytest.param("fp32", 3, 1, 2, 0.90, marks=pytest.mark.slow),
    ("int8", 1, 0, 0, 0.92),
    ("int8", 3, 0, 0, 0.90),
]
"""The form of dlib's networks, every how many frames, ID switches, tracks that went on to somebody else, coverage."""
MARGIN = 0.03
"""Another processor rounds otherwise, and a face at the limit is found a look later."""


@pytest.mark.shared
@pytest.mark.parametrize(("precision", "every", "switches", "takeovers", "coverage"), MEASURED)
def test_tracks_hold_in_a_crowd(
    shared: Path, *, precision: str, every: int, switches: int, takeovers: int, coverage: float
) -> None:
    with engines_here(shared, ("dlib",)) as engines:
        # Left to itself the engine takes the form that is faster here, and the two find a little different boxes.
        engine = replace(engines["dlib"], settings={"dlib": {"precision": precision}})()
        gallery = gallery_of_others(shared / "data" / "faces", engine)
        figures, _, named = our_figures(shared, engine, gallery, every)
    assert len(figures.switches) <= switches, figures.switches
    assert len(figures.takeovers) <= takeovers, figures.takeovers
    assert figures.coverage >= coverage - MARGIN, figures.lost
    assert figures.false_tracks == 0
    assert named == 0


def test_the_truth_is_whole() -> None:
    frames = read_truth(TRUTH, MIN_FACE_PX)
    assert len(frames) == 105
    for faces in frames:
        people = [face.person for face in faces]
        assert len(people) == len(set(people))
        for left, top, right, bottom in (face.box for face in faces):
            assert 0 <= left < right <= 1920
            assert 0 <= top < bottom <= 1080
            assert 0.5 < (right - left) / (bottom - top) < 1.3
    assert sum(face.wanted for faces in frames for face in faces) == 477
