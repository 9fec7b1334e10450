"""How often strangers get a name and enrolled people are missed, tried out on photographs of both.

A *mated* trial probes with other photographs of an enrolled person, a *non-mated* one with photographs of somebody who
is not enrolled (ISO/IEC 19795-1). Which photographs are enrolled and which probe is drawn at random, again and again
from one fixed seed, so the same photographs give the same figures. Trials of one person are not independent of each
other, so intervals count people: Wilson's interval (1927) with the effective number of people in place of the number
of trials (Korn and Graubard 1998, who do the same with another interval).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from optimind.core.identification import Identifier, Verdict
from optimind.core.types import Template, Vectors

__all__ = ["DetPoint", "Plan", "Rate", "Trial", "Trials", "det_points", "missed", "rate", "run_trials", "threshold_at"]

Distances = NDArray[np.float64]

_ENOUGH_STUDENTS = 20
_ENOUGH_STRANGERS = 100
"""So many people with full probes are enough not to try those who have fewer photographs."""
_MATED = 2_000
_NON_MATED = 10_000
_LEFT_OUT_ONCE = 3_000
"""Trials wanted; leaving one out needs a gallery of its own for each, so fewer must do."""
_LEFT_OUT_A_DRAW = 200
_FEWEST_DRAWS, _MOST_DRAWS = 4, 100
_MOST_TRIALS = 60_000
_Z = 1.959963984540054
"""Of a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``enrol`` photographs a person in the gallery, ``probes`` of others in a probe; both at least 1.

    With ``leave_one_out`` enrolled people are strangers too, in turn, to a gallery without them.
    """

    enrol: int = 3
    probes: int = 3
    leave_one_out: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Trial:
    """One probe: who it shows, who is nearest to it, how near (normalised distance), and the verdict."""

    person_id: str
    nearest_id: str
    distance: float
    verdict: Verdict

    @property
    def missed(self) -> bool:
        """Whether an enrolled person's probe did not give their name."""
        return self.verdict is not Verdict.ACCEPTED or self.nearest_id != self.person_id


@dataclass(frozen=True, slots=True)
class Trials:
    """What was tried: the trials, up to which distance all students' gallery accepts, and how many were drawn of it.

    ``mated_samples`` and ``non_mated_samples`` are the fewest embeddings of any probe.
    """

    mated: tuple[Trial, ...]
    non_mated: tuple[Trial, ...]
    limit: float
    draws: int
    mated_samples: int
    non_mated_samples: int


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, 0-1, with the ends of its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DetPoint:
    """FPIR and FNIR, 0-1, where a normalised distance up to ``threshold`` is accepted."""

    threshold: float
    fpir: float
    fnir: Rate


def run_trials(
    students: Sequence[Template],
    strangers: Sequence[Template],
    plan: Plan,
    identifier: Callable[[tuple[Template, ...]], Identifier],
    reserve: Mapping[str, Vectors] | None = None,
) -> Trials:
    """Enrol ``students`` and probe with them and with ``strangers``.

    A template here holds all embeddings of one person that may be enrolled; ``reserve`` has further ones (n, dimension)
    by person id, with which is probed only. A student has at least ``plan.enrol`` of the former and one more of either.
    A probe has ``plan.probes`` where enough people have so many; else everybody's has what there is. ``identifier``
    makes the decisions for a gallery. Raises ``ValueError`` for a student with too few embeddings, fewer than two
    students, or nobody who could be a stranger.
    """
    reserve = reserve or {}
    if len(students) < 2 or any(len(s.embeddings) - (s.person_id not in reserve) < plan.enrol for s in students):
        raise ValueError("at least two students with more embeddings than are enrolled are needed")
    if not strangers and not plan.leave_one_out:
        raise ValueError("there is no stranger")
    course = _Course(students, strangers, plan, identifier, reserve)
    draws = course.draws()
    rng = np.random.default_rng(plan.seed)
    drawn = [course.draw(rng) for _ in range(draws)]
    return Trials(
        limit=course.limit,
        mated=tuple(chain.from_iterable(mated for mated, _ in drawn)),
        non_mated=tuple(chain.from_iterable(non_mated for _, non_mated in drawn)),
        draws=draws,
        mated_samples=min(min(plan.probes, len(course.all_of(s)) - plan.enrol) for s in course.probed),
        non_mated_samples=min(
            min(plan.probes, len(course.all_of(s)))
            for s in (*course.strangers, *(course.students[i] for i in course.out))
        ),
    )


class _Course:
    """Who is enrolled, who probes, and one random draw of which photographs do which."""

    def __init__(
        self,
        students: Sequence[Template],
        strangers: Sequence[Template],
        plan: Plan,
        identifier: Callable[[tuple[Template, ...]], Identifier],
        reserve: Mapping[str, Vectors],
    ) -> None:
        self.students = students
        self._all = {
            s.person_id: np.concatenate([s.embeddings, reserve[s.person_id]])
            if s.person_id in reserve
            else s.embeddings
            for s in (*students, *strangers)
        }
        self.probed = self._with_full_probes(students, plan.probes + plan.enrol, _ENOUGH_STUDENTS)
        out = range(len(students)) if plan.leave_one_out else range(0)
        others = [*strangers, *(students[i] for i in out)]
        chosen = {s.person_id for s in self._with_full_probes(others, plan.probes, _ENOUGH_STRANGERS)}
        self.strangers = [s for s in strangers if s.person_id in chosen]
        self.out = [i for i in out if students[i].person_id in chosen]
        self._plan = plan
        self._identifier = identifier
        self.limit = identifier(tuple(students)).limit

    def all_of(self, person: Template) -> Vectors:
        """All embeddings of somebody (n, dimension), those that may be enrolled first."""
        return self._all[person.person_id]

    def draws(self) -> int:
        """How many galleries to draw: enough trials where the people give them, and never hours of them."""
        out = min(len(self.out), _LEFT_OUT_A_DRAW)
        mated, non_mated = len(self.probed), len(self.strangers) + out
        wanted = max(_MATED / mated, (_LEFT_OUT_ONCE if out else _NON_MATED) / non_mated)
        draws = min(max(math.ceil(wanted), _FEWEST_DRAWS), _MOST_DRAWS)
        return max(1, min(draws, _MOST_TRIALS // (mated + non_mated)))

    def draw(self, rng: np.random.Generator) -> tuple[list[Trial], list[Trial]]:
        """Draw a gallery and probes; return the mated and the non-mated trials."""
        enrol, probes = self._plan.enrol, self._plan.probes
        orders = {s.person_id: rng.permutation(len(s.embeddings)) for s in self.students}
        templates = [Template(s.person_id, s.name, s.embeddings[orders[s.person_id][:enrol]]) for s in self.students]
        all_enrolled = self._identifier(tuple(templates))
        mated = []
        for s in self.probed:
            rest = orders[s.person_id][enrol:]
            if aside := len(self.all_of(s)) - len(s.embeddings):
                rest = rng.permutation(np.append(rest, len(s.embeddings) + np.arange(aside)))
            mated.append(_trial(all_enrolled, s.person_id, self.all_of(s)[rest[:probes]]))
        non_mated = [_trial(all_enrolled, s.person_id, _some(self.all_of(s), probes, rng)) for s in self.strangers]
        for place in rng.permutation(self.out)[:_LEFT_OUT_A_DRAW]:
            left, others = self.students[place], tuple(templates[:place] + templates[place + 1 :])
            non_mated.append(_trial(self._identifier(others), left.person_id, _some(self.all_of(left), probes, rng)))
        return mated, non_mated

    def _with_full_probes(self, people: Sequence[Template], needed: int, enough: int) -> Sequence[Template]:
        """Those who have all the embeddings that are ``needed``, where they are ``enough``; else everybody."""
        full = [p for p in people if len(self.all_of(p)) >= needed]
        return full if len(full) >= enough else people


def _some(embeddings: Vectors, number: int, rng: np.random.Generator) -> Vectors:
    return embeddings[rng.permutation(len(embeddings))[:number]]


def _trial(identifier: Identifier, person_id: str, samples: Vectors) -> Trial:
    match = identifier.identify(samples)
    return Trial(person_id, match.person_id, match.normalised_distance, match.verdict)


def threshold_at(non_mated: Sequence[Trial], fpir: float) -> float:
    """The largest normalised distance that at most ``fpir`` (0-1, below 1) of the trials do not exceed.

    Where there are fewer than ``1 / fpir`` trials none of them is within it. Raises ``ValueError`` without a trial.
    """
    if not non_mated:
        raise ValueError("there is no non-mated trial")
    distances = np.sort([t.distance for t in non_mated])
    # A product such as 0.01 * 2900 may come out just below the whole number that it is.
    accepted = min(math.floor(fpir * len(distances) + 1e-9), len(distances) - 1)
    return float(np.nextafter(distances[accepted], -np.inf))


def missed(trial: Trial, threshold: float) -> bool:
    """Whether an enrolled person's probe is further than ``threshold`` from them, or nearer to somebody else."""
    return trial.distance > threshold or trial.nearest_id != trial.person_id


def det_points(mated: Sequence[Trial], non_mated: Sequence[Trial], most: int = 200) -> list[DetPoint]:
    """Every trade of FPIR against FNIR that the trials tell apart, by rising threshold; thinned to about ``most``.

    The first has FPIR 0, the last 1; on the way FPIR rises and FNIR never does. Raises ``ValueError`` without a trial
    of either kind.
    """
    if not mated or not non_mated:
        raise ValueError("DET points need mated and non-mated trials")
    strangers = np.sort([t.distance for t in non_mated])
    # Just below the next stranger: nobody else is accepted there, and as many students as can be.
    levels = np.append(np.nextafter(np.unique(strangers), -np.inf), max(t.distance for t in (*mated, *non_mated)))
    if len(levels) > most:
        # As many for each factor of ten: that is how the curve is looked at.
        levels = levels[sorted({0, *np.geomspace(1, len(levels) - 1, most - 1).round().astype(int).tolist()})]
    fpir = np.searchsorted(strangers, levels, side="right") / len(strangers)
    people = _numbered(mated)
    # Nobody is found at any distance who is nearer to somebody else.
    distances = np.array([t.distance if t.nearest_id == t.person_id else np.inf for t in mated])
    fnir = (_rate(people, distances > level) for level in levels)
    return [DetPoint(float(level), float(x), y) for level, x, y in zip(levels, fpir, fnir, strict=True)]


def rate(trials: Sequence[Trial], counts: Callable[[Trial], bool]) -> Rate:
    """The share of ``trials`` that ``counts``, and its interval over people. Raises ``ValueError`` without a trial."""
    if not trials:
        raise ValueError("a rate needs a trial")
    return _rate(_numbered(trials), np.array([counts(t) for t in trials]))


def _numbered(trials: Sequence[Trial]) -> NDArray[np.intp]:
    """A number from 0 for each trial's person: (n,)."""
    return np.unique([t.person_id for t in trials], return_inverse=True)[1]


def _rate(people: NDArray[np.intp], counted: NDArray[np.bool_]) -> Rate:
    """The rate of trials ``counted`` (n,), tried on ``people`` (n,)."""
    tried = np.bincount(people)
    share = float(counted.mean())
    effective = float(len(tried))
    if len(tried) > 1:
        apart = float(((np.bincount(people, weights=counted) - share * tried) ** 2).sum())
        variance = len(tried) / (len(tried) - 1) * apart / len(people) ** 2
        if variance > 0:
            # Nobody counts for more than one person, however many of their photographs were tried.
            effective = min(effective, max(1.0, share * (1 - share) / variance))
    return Rate(share, *_wilson(share, effective))


def _wilson(share: float, people: float) -> tuple[float, float]:
    centre = share + _Z**2 / (2 * people)
    reach = _Z * math.sqrt(share * (1 - share) / people + _Z**2 / (4 * people**2))
    scale = 1 + _Z**2 / people
    # Rounding must not put the share itself outside.
    return max(0.0, min(share, (centre - reach) / scale)), min(1.0, max(share, (centre + reach) / scale))
