"""Calibrate an embedder on a folder of people who are in nobody's class, for this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from optimind.evaluation.photographs import look_at_photographs
from optimind.gallery.calibration import calibrate
from optimind.gallery.encoder import EngineFactory, Progress
from optimind.weights.calibrations import own_calibration, write_calibration

__all__ = ["Calibrated", "calibrate_embedder"]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was made: for which embedder, of how many people and photographs, and where it lies."""

    embedder: str
    people: int
    samples: int
    file: Path


def calibrate_embedder(faces: Path, engine: EngineFactory, workers: int | None, progress: Progress) -> Calibrated:
    """Make the calibration of ``engine`` from the photographs in ``faces``, and keep it for every later run.

    Of the people only cluster centres and rates are kept. Raises what
    :func:`~optimind.evaluation.photographs.look_at_photographs` raises, and :class:`DatasetError` where there are too
    few people.
    """
    found = look_at_photographs(faces, None, engine, workers, progress)
    calibration = calibrate([person.embeddings for person in found.people])
    samples = sum(len(person.embeddings) for person in found.people)
    file = own_calibration(found.embedder)
    write_calibration(file, calibration, {"embedder": found.embedder, "people": len(found.people), "samples": samples})
    return Calibrated(found.embedder, len(found.people), samples, file)
