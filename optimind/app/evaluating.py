"""The engine and the rule that the settings name, tried or calibrated on folders of photographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from optimind.app.configured import limits_of
from optimind.config import Config
from optimind.core.calibration import Calibration
from optimind.core.identification import Identifier
from optimind.core.types import Gallery
from optimind.engines import engine_for_enrolment
from optimind.errors import GalleryError, SealRefused
from optimind.evaluation import Calibrated, Concern, Evaluation, Folders, Rule, calibrate_embedder, evaluate
from optimind.gallery import load_gallery
from optimind.gallery.encoder import Progress
from optimind.gallery.quality import MIN_FACE_PX

__all__ = ["calibrate_configured", "evaluate_configured"]


def evaluate_configured(
    config: Config, folders: Folders, *, enrol: int, probes: int, workers: int | None, progress: Progress
) -> Evaluation:
    """Evaluate as ``config`` would enrol and decide, with a concern where its gallery was made by another embedder.

    Raises as :func:`optimind.evaluation.evaluate` does.
    """
    engine = engine_for_enrolment(config, MIN_FACE_PX)
    found = evaluate(folders, engine, _rule(config), enrol=enrol, probes=probes, workers=workers, progress=progress)
    return replace(found, concerns=(*_other_embedder(config, found.photographs.embedder), *found.concerns))


def calibrate_configured(config: Config, faces: Path, *, workers: int | None, progress: Progress) -> Calibrated:
    """Calibrate the engine that ``config`` would enrol with; raises as ``calibrate_embedder`` does."""
    return calibrate_embedder(faces, engine_for_enrolment(config, MIN_FACE_PX), workers, progress)


def _other_embedder(config: Config, evaluated: str) -> list[Concern]:
    gallery = config.gallery
    try:
        enrolled = load_gallery(gallery, config.privacy.sealer()).embedder
    except (GalleryError, SealRefused):
        # None is needed here; `run` says what is wrong with it.
        return []
    if enrolled == evaluated:
        return []
    detail = f"the gallery {gallery} was made by the embedder {enrolled}, and these figures are of {evaluated}"
    mend = "encode the photographs again, or name the gallery's engine in config.yaml (engine:) and evaluate that"
    return [Concern("other_embedder", detail, mend)]


def _rule(config: Config) -> Rule:
    # A probe is all that there is of a track: it is decided with what it has.
    limits = limits_of(config, min_samples=1)

    def identifier(gallery: Gallery, calibration: Calibration | None) -> Identifier:
        return Identifier(gallery, limits, calibration)

    return Rule(identifier, limits.fpir)
