"""The passive check of presentation attacks: real people in a street scene, and prints that are held before it.

`python -m benchmarks pad` measures more.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pad import clips_of_attacks, verdict_of
from benchmarks.pad_clips import Scene, bona_fide
from benchmarks.tracking import TRUTH
from optimind.plugin_api import PadState

PRINTS = 8
CAUGHT = 6
"""Of so many prints at least these are suspected; 23 of 24 were, measured."""


@pytest.fixture(scope="module")
def scene(shared: Path) -> Scene:
    return Scene.read(shared, TRUTH)


@pytest.mark.shared
def test_nobody_in_a_crowd_is_suspected(scene: Scene) -> None:
    rng = np.random.default_rng(3)
    clips = [clip for person in sorted(scene.people) if (clip := bona_fide(scene, person, rng)) is not None]
    assert len(clips) == 9
    assert [clip.subject for clip in clips if verdict_of(clip)[0].state is PadState.SUSPECTED] == []


@pytest.mark.shared
def test_most_prints_in_the_hand_are_suspected(shared: Path, scene: Scene) -> None:
    clips = list(itertools.islice(clips_of_attacks(shared, scene, each=1), PRINTS))
    assert {clip.kind for clip in clips} == {"print"}
    assert sum(verdict_of(clip)[0].state is PadState.SUSPECTED for clip in clips) >= CAUGHT
