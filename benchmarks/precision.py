"""What int8 costs in accuracy, also where the gallery was made in one form and the camera runs in the other.

    python -m benchmarks.precision ../shared

Half B of the people: 60 are enrolled by three photographs, everybody else is a stranger.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from benchmarks.split import embeddings, in_half_b
from optimind.config import Config
from optimind.core.evaluation import Plan, missed, run_trials, threshold_at
from optimind.core.identification import IdentificationLimits, Identifier
from optimind.core.types import Detections, Gallery, Image, Template, Vectors
from optimind.plugin_api import Embedder, EmbedderInfo
from optimind.vision.dlib_engine import DlibDetector, DlibEmbedder, DlibSettings

N = 60
ENROL = 3
SAMPLES = (1, 3)
FPIR = (0.01, 0.001)
MIN_FACE_PX = 45
FORMS = ("fp32", "int8")


class BothForms(Embedder):
    """The embeddings of both forms side by side."""

    name: ClassVar[str] = "both forms"
    info = EmbedderInfo("both", 2 * DlibEmbedder.info.dimension)

    def __init__(self, parts: list[DlibEmbedder]) -> None:
        self._parts = parts

    @classmethod
    def describe(cls, settings: Any = None) -> EmbedderInfo:  # noqa: ARG003 - there are none
        """The same for all."""
        return cls.info

    @classmethod
    def create(cls, settings: Any = None) -> Self:  # noqa: ARG003 - there are none
        """Load both."""
        return cls([DlibEmbedder.create(DlibSettings(precision=form)) for form in ("fp32", "int8")])

    def embed(self, image: Image, faces: Detections) -> Vectors:
        """Return (n, 256)."""
        return np.hstack([part.embed(image, faces) for part in self._parts])


def main() -> int:
    """Measure and print; returns the exit code."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    detector = DlibDetector.create(MIN_FACE_PX, DlibSettings())
    people = embeddings(Path(sys.argv[1]) / "data" / "faces", (detector, BothForms.create()), in_half_b)
    fp32, int8 = np.split(np.concatenate(list(people.values())), 2, axis=1)
    apart = np.linalg.norm(fp32 - int8, axis=1)
    print(f"{len(apart)} photographs, distance between the forms: mean {apart.mean():.4f}, largest {apart.max():.4f}\n")
    able = [name for name, own in people.items() if len(own) > ENROL]
    students = [able[i] for i in np.random.default_rng(1).permutation(len(able))[:N]]
    print("| gallery, camera | samples a track | FNIR at FPIR 1 % | at 0.1 % |\n|---|---|---|---|")
    for samples in SAMPLES:
        for gallery in range(2):
            for camera in range(2):
                shares = fnir(people, students, gallery, camera, samples)
                texts = " | ".join(f"{share:.2%}" for share in shares)
                print(f"| {FORMS[gallery]}, {FORMS[camera]} | {samples} | {texts} |")
    return 0


def fnir(people: dict[str, Vectors], students: list[str], gallery: int, camera: int, samples: int) -> list[float]:
    """FNIR at each FPIR with the templates in the form ``gallery`` and the probes in the form ``camera`` (0 or 1)."""
    templates = {name: Template(name, name, np.split(own, 2, axis=1)[camera]) for name, own in people.items()}
    enrolled = {name: templates.pop(name) for name in students}
    plan = Plan(enrol=ENROL, probes=samples)
    trials = run_trials(list(enrolled.values()), list(templates.values()), plan, in_form(people, gallery, camera))
    limits = [threshold_at(trials.non_mated, fpir) for fpir in FPIR]
    return [sum(missed(trial, limit) for trial in trials.mated) / len(trials.mated) for limit in limits]


def in_form(people: dict[str, Vectors], gallery: int, camera: int) -> Callable[[tuple[Template, ...]], Identifier]:
    """What makes an identifier of templates in the form ``camera``, by the same photographs in the form ``gallery``."""
    other: dict[bytes, Vectors] = {}
    for own in people.values():
        parts = np.split(own, 2, axis=1)
        other.update(zip(map(bytes, parts[camera]), parts[gallery], strict=True))
    calibration = DlibEmbedder.create(DlibSettings()).calibration()
    settings = Config().recognition
    limits = IdentificationLimits(
        fpir=settings.fpir, max_distance=settings.max_distance, min_margin=settings.min_margin, min_samples=1
    )

    def made(templates: tuple[Template, ...]) -> Identifier:
        swapped = (Template(t.person_id, t.name, np.array([other[bytes(e)] for e in t.embeddings])) for t in templates)
        return Identifier(Gallery("both", tuple(swapped)), limits, calibration)

    return made


if __name__ == "__main__":
    sys.exit(main())
