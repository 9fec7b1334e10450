"""What the trials say, as figures for people and as `evaluate --json`'s document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

from optimind.core.evaluation import DetPoint, Plan, Rate, Trial, Trials, det_points, missed, rate, threshold_at
from optimind.core.identification import Verdict
from optimind.evaluation.photographs import Photographs

__all__ = ["FPIRS", "Concern", "Evaluation", "summed_up"]

FPIRS = (0.01, 0.001)
"""The shares of strangers with a name at which the missed students are counted."""
FEW_STUDENTS, FEW_STRANGERS = 20, 30
"""With fewer people than these nothing finer than 10 to 15 % can be said at all."""
_MOST_NAMED = 5
_NO_EVENT = 3.0
"""Rule of three: what did not happen to any of n people happens to at most about 3 in n."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that a person should look at; ``mend`` says what to do."""

    kind: str
    detail: str
    mend: str


@dataclass(frozen=True, slots=True)
class AtFpir:
    """What holds where ``fpir`` of the strangers get a name: up to which normalised distance, and who is missed."""

    fpir: float
    threshold: float
    fnir: Rate


@dataclass(frozen=True, slots=True)
class AsConfigured:
    """What holds at the settings in use. ``misnamed`` are the students who get another student's name.

    ``wanted`` is the FPIR that the settings ask for, None where the engine does not know how to meet one.
    """

    threshold: float
    wanted: float | None
    fpir: Rate
    strangers_not_sure: Rate
    fnir: Rate
    not_sure: Rate
    misnamed: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The outcome. ``strangers`` and ``students`` are how many people of each kind were probes.

    ``named`` lists (stranger, student, share of the stranger's probes) and ``often_missed`` (student, share of their
    probes) at the settings in use, the worst first; ``too_few`` is how many of the dataset's people have too few
    photographs to be enrolled; ``strangers_not_tried`` how many people who are not enrolled have too few to probe.
    """

    people: int
    students: int
    strangers: int
    plan: Plan
    trials: Trials
    rank1: Rate
    at: tuple[AtFpir, ...]
    configured: AsConfigured
    det: tuple[DetPoint, ...]
    named: tuple[tuple[str, str, float], ...]
    often_missed: tuple[tuple[str, float], ...]
    photographs: Photographs
    too_few: int
    strangers_not_tried: int
    concerns: tuple[Concern, ...]
    engine: str
    seconds: float

    @property
    def finest(self) -> float:
        """The smallest FPIR (0-1) that so many strangers can show."""
        return min(1.0, _NO_EVENT / self.strangers)

    def as_json(self) -> dict[str, Any]:
        """Return the document that ``evaluate --json`` prints. Every number is finite."""
        now = self.configured
        return {
            "n": self.people,
            "mated": len(self.trials.mated),
            "non_mated": len(self.trials.non_mated),
            "rank1": self.rank1.share,
            "fnir": {f"{at.fpir}": at.fnir.share for at in self.at},
            "fnir_interval": {f"{at.fpir}": _ends(at.fnir) for at in self.at},
            "threshold": {**{f"{at.fpir}": at.threshold for at in self.at}, "configured": now.threshold},
            "embedder": self.photographs.embedder,
            "engine": self.engine,
            "configured": {
                "wanted_fpir": now.wanted,
                "fpir": now.fpir.share,
                "fpir_interval": _ends(now.fpir),
                "strangers_not_sure": now.strangers_not_sure.share,
                "fnir": now.fnir.share,
                "fnir_interval": _ends(now.fnir),
                "not_sure": now.not_sure.share,
                "misnamed": now.misnamed.share,
            },
            "enrol": self.plan.enrol,
            "probes": self.plan.probes,
            "fewest_in_a_probe": {"mated": self.trials.mated_samples, "non_mated": self.trials.non_mated_samples},
            "students": self.students,
            "strangers": self.strangers,
            "leave_one_out": self.plan.leave_one_out,
            "finest_fpir": self.finest,
            "draws": self.trials.draws,
            "left_out": {"dataset": self.photographs.left_out, "impostors": self.photographs.impostors_left_out},
            "held_in_reserve": {
                "dataset": self.photographs.held_in_reserve(self.photographs.people),
                "impostors": self.photographs.held_in_reserve(self.photographs.impostors),
            },
            "too_few_photographs": self.too_few,
            "not_tried": {"students": self.people - self.students, "strangers": self.strangers_not_tried},
            "in_both": list(self.photographs.both),
            "strangers_named": [{"stranger": a, "person_id": b, "share": share} for a, b, share in self.named],
            "students_missed": [{"person_id": person, "share": share} for person, share in self.often_missed],
            "warnings": [{"kind": c.kind, "detail": c.detail, "mend": c.mend} for c in self.concerns],
            "det": [{"threshold": p.threshold, "fpir": p.fpir, "fnir": p.fnir.share} for p in self.det],
            "seconds": round(self.seconds, 3),
        }


def summed_up(
    photographs: Photographs,
    trials: Trials,
    plan: Plan,
    *,
    people: int,
    wanted: float | None,
    engine: str,
    seconds: float,
) -> Evaluation:
    """Make figures of ``trials`` in which ``people`` were enrolled; ``wanted`` is the configured FPIR, if any."""
    at = []
    for fpir in FPIRS:
        limit = threshold_at(trials.non_mated, fpir)
        at.append(AtFpir(fpir, limit, rate(trials.mated, partial(missed, threshold=limit))))
    named = rate(trials.non_mated, _named)
    strangers = {t.person_id for t in trials.non_mated}
    students = {t.person_id for t in trials.mated}
    too_few = [p for p in photographs.people if photographs.most_enrolled(p) < plan.enrol]
    return Evaluation(
        people=people,
        students=len(students),
        strangers=len(strangers),
        plan=plan,
        trials=trials,
        rank1=rate(trials.mated, lambda trial: trial.nearest_id == trial.person_id),
        at=tuple(at),
        configured=AsConfigured(
            trials.limit,
            wanted,
            named,
            rate(trials.non_mated, _not_sure),
            rate(trials.mated, lambda trial: trial.missed),
            rate(trials.mated, _not_sure),
            rate(trials.mated, lambda trial: _named(trial) and trial.nearest_id != trial.person_id),
        ),
        det=tuple(det_points(trials.mated, trials.non_mated)),
        named=_most_named(trials.non_mated),
        often_missed=_most_missed(trials.mated),
        photographs=photographs,
        too_few=len(too_few),
        strangers_not_tried=sum(p.person_id not in strangers for p in (*too_few, *photographs.impostors)),
        concerns=(
            *_no_calibration(photographs.embedder, wanted),
            *_more_named_than_wanted(named, wanted),
            *_concerns(photographs, trials, plan, len(students), len(strangers)),
        ),
        engine=engine,
        seconds=seconds,
    )


def _named(trial: Trial) -> bool:
    return trial.verdict is Verdict.ACCEPTED


def _not_sure(trial: Trial) -> bool:
    return trial.verdict is Verdict.NOT_SURE


def _ends(given: Rate) -> list[float]:
    return [given.low, given.high]


def _most_named(trials: tuple[Trial, ...]) -> tuple[tuple[str, str, float], ...]:
    tried = Counter(t.person_id for t in trials)
    named = Counter((t.person_id, t.nearest_id) for t in trials if _named(t))
    found = [(stranger, student, number / tried[stranger]) for (stranger, student), number in named.items()]
    return tuple(sorted(found, key=lambda row: (-row[2], row))[:_MOST_NAMED])


def _most_missed(trials: tuple[Trial, ...]) -> tuple[tuple[str, float], ...]:
    tried = Counter(t.person_id for t in trials)
    lost = Counter(t.person_id for t in trials if t.missed)
    found = [(person, number / tried[person]) for person, number in lost.items()]
    return tuple(sorted(found, key=lambda row: (-row[1], row))[:_MOST_NAMED])


def _no_calibration(embedder: str, wanted: float | None) -> list[Concern]:
    if wanted is not None:
        return []
    detail = f"nothing is known of strangers' distances with {embedder}, so recognition.max_distance decides, not fpir"
    return [Concern("no_calibration", detail, "measure it once: optimind models calibrate --faces DIR")]


def _more_named_than_wanted(named: Rate, wanted: float | None) -> list[Concern]:
    if wanted is None or named.low <= wanted:
        return []
    detail = f"strangers get names more often than the {wanted:.1%} that the settings ask for: {named.share:.1%}"
    mend = "see who is named most often: somebody who is in the class too? Else ask for less in the settings"
    return [Concern("more_named_than_wanted", detail, mend)]


def _concerns(photographs: Photographs, trials: Trials, plan: Plan, students: int, strangers: int) -> list[Concern]:
    found = []
    if not photographs.impostors and (photographs.both or photographs.impostors_left_out):
        detail = "nobody in --impostors could be tried; enrolled people were tried as strangers, one at a time"
        found.append(Concern("no_impostor", detail, "name a folder of people who are not in the class"))
    if photographs.both:
        some = ", ".join(photographs.both[:3]) + (" ..." if len(photographs.both) > 3 else "")
        detail = f"{_people(len(photographs.both))} of --impostors are in the dataset too ({some}) and were not tried"
        found.append(Concern("in_both", detail, "take them out of one of the two folders"))
    if refused := sum(photographs.left_out.values()):
        reasons = ", ".join(f"{number} {reason}" for reason, number in photographs.left_out.items())
        were = "1 photograph of --dataset was" if refused == 1 else f"{refused} photographs of --dataset were"
        detail = f"{were} left out, as `encode` would: {reasons}"
        found.append(Concern("left_out", detail, "`encode` lists them with what to do about each"))
    if strangers < FEW_STRANGERS:
        finest = f"{min(1.0, _NO_EVENT / strangers):.0%}"
        detail = f"only {_people(strangers)} could be tried as strangers: nothing below {finest} can be known"
        mend = "name a folder of people who are not in the class with --impostors, best several hundred"
        found.append(Concern("few_strangers", detail, mend))
    if students < FEW_STUDENTS:
        detail = f"only {_people(students)} could be tried as students: one of them is {1 / students:.0%}"
        mend = f"add people with {plan.enrol + plan.probes} photographs or more, of different days"
        found.append(Concern("few_students", detail, mend))
    fewest = min(trials.mated_samples, trials.non_mated_samples)
    if fewest < plan.probes:
        detail = f"some probes have {fewest} of {plan.probes} photographs only, which makes the figures worse"
        mend = f"add photographs, or compare like with like: --probes {fewest}"
        found.append(Concern("short_probes", detail, mend))
    return found


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"
