"""How many pictures of people the check ``passive`` catches, how many people it suspects, and what it costs.

The error rates of ISO/IEC 30107-3: APCER, the attacks of a kind that are not suspected, and BPCER, the people who are.
Limits were chosen on photographs of one half of the people of ``data/faces``; the figures are of the other half.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines_here import engines_here
from benchmarks.pad_attacks import ATTACKS, MOTIONS, SHOWS_THE_SCENE, attack
from benchmarks.pad_clips import FPS, Clip, Scene, bona_fide, is_for_tuning, seated
from benchmarks.tracking import TRUTH
from optimind.core.tracking import Track
from optimind.core.types import Frame
from optimind.pad.passive import PassiveCheck, PassiveSettings
from optimind.pipeline.presentation import LONG_S, Presentation
from optimind.pipeline.stages import StageTimes
from optimind.plugin_api import PadState, PadVerdict

__all__ = ["clips_of_attacks", "clips_of_people", "measure", "verdict_of"]

SEED = 11
FACES_PX = (45.0, 60.0, 80.0, 110.0)
EACH = 3
"""So many clips of each attack, size and motion."""
STARTS_S = (0.0, 1.0, 2.0)
VARIANTS = ((1.0, 1.5), (1.0, 4.0), (0.75, 1.5))
"""How large a clip of a person is made, and how noisy (grey levels)."""
SLOWED = 4
"""So many times slower people are shown as well: few sit as still as these then do, and a check is tempted."""
AT_ONCE = 24
LIVE_FPS = 15
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass(slots=True)
class _Counts:
    states: Counter[PadState] = field(default_factory=Counter)
    subjects: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)

    def rate(self, *states: PadState) -> float:
        return sum(self.states[state] for state in states) / self.states.total()


def verdict_of(clip: Clip) -> tuple[PadVerdict, float]:
    """What the check says of a clip, shown to it as a run shows it, and after how many seconds that stood fast."""
    check = PassiveCheck(PassiveSettings())
    presentation = Presentation(check, stages=StageTimes())
    verdict = PadVerdict()
    for image, box, at_s in zip(clip.images, clip.boxes, clip.times_s, strict=True):
        at = START + timedelta(seconds=at_s)
        presentation.watch(Frame("pad", 0, at, image), [Track.begun(1, np.array(box), at)])
        verdict = presentation.verdict(1)
        if verdict.is_final:
            break
    return verdict, at_s - clip.times_s[0]


def clips_of_attacks(shared: Path, scene: Scene, *, each: int = EACH, tuning: bool = False) -> Iterator[Clip]:
    """Attacks of every kind, size and motion; those of photographs show each person once."""
    rng = np.random.default_rng(SEED + tuning)
    photographs = [
        photograph
        for photograph in sorted((shared / "data" / "faces").glob("*/*_0001.jpg"))
        if is_for_tuning(photograph.parent.name) == tuning
    ]
    rng.shuffle(photographs)
    people = sorted(person for person, boxes in scene.people.items() if len(boxes) >= 3 * FPS)
    for kind in ATTACKS:
        for number, (face_px, motion) in enumerate(itertools.product(FACES_PX, MOTIONS)):
            for again in range(each if kind != "propped up" else 1):
                source = people[(number + again) % len(people)] if kind in SHOWS_THE_SCENE else photographs.pop()
                yield attack(scene, kind, source, face_px=face_px, motion=motion, rng=rng)


def clips_of_people(shared: Path, scene: Scene) -> Iterator[Clip]:
    """Everybody in the scene, from several moments on, in several sizes and noises, and who sits, where they are here.

    Each comes once more, slowed.
    """
    for clip in _people(shared, scene):
        yield clip
        slow = [at_s * SLOWED for at_s in clip.times_s]
        yield replace(clip, kind=f"{clip.kind}, slowed {SLOWED} times", times_s=slow)


def _people(shared: Path, scene: Scene) -> Iterator[Clip]:
    rng = np.random.default_rng(SEED)
    for person in sorted(scene.people):
        for first_s, (size, noise) in itertools.product(STARTS_S, VARIANTS):
            clip = bona_fide(scene, person, rng, first_s=first_s, size=size, noise=noise)
            if clip is not None:
                yield clip
    with engines_here(shared, ("dlib",)) as engines:
        detector, _ = engines["dlib"]()
        for first_s, noise in itertools.product(STARTS_S, (1.5, 4.0)):
            clip = seated(detector, rng, first_s=first_s, noise=noise)
            if clip is not None:
                yield clip


def cost_of(scene: Scene, seconds: float = 2 * LONG_S) -> tuple[float, float]:
    """Which part of a core 24 undecided faces at 15 frames a second take: in their first seconds, and later on.

    They are bare places of one picture with noise, of which nothing is ever decided: the most that it can cost.
    """
    rng = np.random.default_rng(SEED)
    presentation = Presentation(PassiveCheck(PassiveSettings(still_s=600)), stages=StageTimes())
    room = scene.images[0]
    corners = rng.uniform(150, 800, (AT_ONCE, 2))
    frames = [np.clip(room + rng.normal(0, 2, room.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    spent = {True: 0.0, False: 0.0}
    for number in range(int(seconds * LIVE_FPS)):
        at = START + timedelta(seconds=number / LIVE_FPS)
        tracks = [Track.begun(row, np.array([x, y, x + 70, y + 84]), at) for row, (x, y) in enumerate(corners)]
        began_s = time.process_time()
        presentation.watch(Frame("pad", number, at, frames[number % len(frames)]), tracks)
        spent[number / LIVE_FPS < LONG_S] += time.process_time() - began_s
    return spent[True] / LONG_S, spent[False] / (seconds - LONG_S)


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """All of it on ``shared/data``; returns figures and table."""
    scene = Scene.read(shared, TRUTH)
    counts: dict[str, _Counts] = {}
    for clip in itertools.chain(clips_of_people(shared, scene), clips_of_attacks(shared, scene)):
        verdict, seconds = verdict_of(clip)
        mine = counts.setdefault(clip.kind, _Counts())
        mine.states[verdict.state] += 1
        mine.subjects.add(clip.subject)
        if verdict.is_final:
            mine.seconds.append(seconds)
    lines = [
        "| | clips (subjects) | suspected | undecided | taken for a person | error | seconds to a verdict, median |",
        "|---|---|---|---|---|---|---|",
    ]
    result: dict[str, Any] = {}
    for kind, mine in counts.items():
        is_attack = not kind.startswith("bona fide")
        wrong = (PadState.UNDECIDED, PadState.BONA_FIDE) if is_attack else (PadState.SUSPECTED,)
        error = {"APCER" if is_attack else "BPCER": mine.rate(*wrong)}
        result[kind] = {"clips": mine.states.total(), "subjects": len(mine.subjects), **dict(mine.states), **error}
        (name, rate), *_ = error.items()
        when = f"{np.median(mine.seconds):.1f}" if mine.seconds else ""
        states = " | ".join(
            str(mine.states[state]) for state in (PadState.SUSPECTED, PadState.UNDECIDED, PadState.BONA_FIDE)
        )
        lines.append(
            f"| {kind} | {mine.states.total()} ({len(mine.subjects)}) | {states} | {name} {rate:.0%} | {when} |"
        )
    first, later = cost_of(scene)
    result["part_of_a_core"] = {"first": first, "later": later}
    cost = f"{AT_ONCE} faces, none decided, {LIVE_FPS} frames a second, 1080p: {first:.1%} of a core in the first "
    return result, "\n".join([*lines, "", f"{cost}{LONG_S:.0f} s, {later:.1%} later."])
