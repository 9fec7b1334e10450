"""Calibrate an embedder on a folder of people who are in nobody's class, for this machine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from optimind.evaluation.photographs import look_at_photographs
from optimind.gallery.calibration import calibrate, require_people
from optimind.gallery.dataset import scan_dataset
from optimind.gallery.encoder import EngineFactory, Progress
from optimind.weights.calibrations import own_calibration, write_calibration
from optimind.weights.store import writing

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
    :func:`~optimind.evaluation.photographs.look_at_photographs` raises, :class:`DatasetError` where there are too
    few people, and :class:`EngineError` where the folder of models cannot be written; all that can be known before the
    long work is said before it.
    """
    _, embedder = engine.describe()
    file = own_calibration(embedder.embedder_id)
    require_people(len({photograph.person_id for photograph in scan_dataset(faces).photographs}))
    with writing(file.parent), tempfile.TemporaryFile(dir=file.parent):
        pass  # a folder that is there may still be closed to us
    found = look_at_photographs(faces, None, engine, workers, progress)
    calibration = calibrate([person.embeddings for person in found.people])
    samples = sum(len(person.embeddings) for person in found.people)
    made = {"embedder": found.embedder, "people": len(found.people), "samples": samples}
    with writing(file.parent):
        write_calibration(file, calibration, made)
    return Calibrated(found.embedder, len(found.people), samples, file)
