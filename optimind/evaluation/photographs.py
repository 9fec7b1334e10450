"""Two folders of photographs to embeddings of students and of strangers, by the machinery that enrols."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from optimind.core.types import Template, Vectors
from optimind.errors import GalleryError, Interrupted, OptiMindError, UsageError
from optimind.gallery import EncodeReport, GalleryFile, load_gallery, to_core
from optimind.gallery.dataset import scan_dataset
from optimind.gallery.encoder import EngineFactory, Progress, encode_dataset

__all__ = ["Photographs", "check_impostors", "look_at_photographs"]


@dataclass(frozen=True, slots=True)
class Photographs:
    """Everybody in the two folders with all embeddings that may be enrolled, in a fixed order.

    ``reserve`` has by person id what `encode` holds in reserve (n, dimension): turned away or badly lit, of people with
    better photographs. It is not in ``people`` and ``impostors``.
    ``left_out`` and ``impostors_left_out`` count the photographs that enrolment would refuse, by its reasons. ``both``
    are the ids in the impostors' folder of people who are in the dataset too, by id or by a photograph; they are not in
    ``impostors``.
    """

    embedder: str
    people: tuple[Template, ...]
    impostors: tuple[Template, ...]
    left_out: dict[str, int]
    impostors_left_out: dict[str, int]
    both: tuple[str, ...] = ()
    reserve: Mapping[str, Vectors] = field(default_factory=dict)

    def held_in_reserve(self, people: tuple[Template, ...]) -> int:
        """How many photographs of ``people`` are held in reserve."""
        return sum(len(self.reserve[p.person_id]) for p in people if p.person_id in self.reserve)

    def most_enrolled(self, person: Template) -> int:
        """How many photographs of ``person`` can be enrolled so that one more is left to probe with."""
        return len(person.embeddings) - (person.person_id not in self.reserve)


def look_at_photographs(
    dataset: Path, impostors: Path | None, engine: EngineFactory, workers: int | None, progress: Progress
) -> Photographs:
    """Embed every photograph that enrolment would take; what is computed is deleted again, whatever happens.

    Raises :class:`UsageError` where a folder does not exist, :class:`DatasetError` where one holds no photograph,
    :class:`EngineError`, :class:`Interrupted`, :class:`OptiMindError` where there is no room for temporary files.
    """
    inside, report = _encoded(dataset, engine, workers, progress)
    if impostors is None:
        people = to_core(inside).templates
        return Photographs(inside.embedder, people, (), _by_reason(report), {}, reserve=_in_reserve(inside))
    outside, outside_report = _encoded(impostors, engine, workers, progress)
    both = _in_both(inside, outside)
    return Photographs(
        inside.embedder,
        to_core(inside).templates,
        tuple(t for t in to_core(outside).templates if t.person_id not in both),
        _by_reason(report),
        _by_reason(outside_report),
        both,
        {**{k: rows for k, rows in _in_reserve(outside).items() if k not in both}, **_in_reserve(inside)},
    )


def check_impostors(dataset: Path, impostors: Path) -> None:
    """Raise :class:`UsageError` where a folder does not exist or one lies in the other, :class:`DatasetError` where
    ``impostors`` holds no photograph; to be asked before the long work.
    """
    if not impostors.is_dir():
        what = "is not a folder" if impostors.exists() else "does not exist"
        raise UsageError(
            f"--impostors {impostors} {what}",
            mend="name a folder with photographs of people outside the class (<person>/*.jpg), or leave it out",
        )
    inside, outside = dataset.resolve(), impostors.resolve()
    if outside.is_relative_to(inside) or inside.is_relative_to(outside):
        what = "are the same folder" if inside == outside else "lie one in the other"
        raise UsageError(
            f"--dataset {dataset} and --impostors {impostors} {what}",
            mend="keep the photographs of people who are not enrolled in a folder of their own",
        )
    scan_dataset(impostors)


def _encoded(
    folder: Path, engine: EngineFactory, workers: int | None, progress: Progress
) -> tuple[GalleryFile, EncodeReport]:
    try:
        # For its owner's eyes only, as the gallery itself.
        with tempfile.TemporaryDirectory(prefix="optimind-evaluate-") as temporary:
            output = Path(temporary) / "gallery.pickle"
            report = encode_dataset(folder, output, engine, workers, progress)
            return load_gallery(output), report
    except Interrupted as stop:
        raise Interrupted("interrupted; nothing was kept") from stop
    except (GalleryError, OSError) as error:
        reason = error.message if isinstance(error, GalleryError) else str(error)
        raise OptiMindError(
            f"there is no room for temporary files in {tempfile.gettempdir()}: {reason}",
            mend="make room there, or name another folder in the environment variable TMPDIR",
        ) from error


def _by_reason(report: EncodeReport) -> dict[str, int]:
    return dict(Counter(rejection.reason for rejection in report.rejected).most_common())


def _in_reserve(gallery: GalleryFile) -> dict[str, Vectors]:
    """The embeddings (n, dimension) that ``to_core`` leaves out, by person id."""
    better = {s.person_id for s in gallery.samples if not s.is_reserve}
    found: dict[str, list[Vectors]] = {}
    for sample in gallery.samples:
        if sample.is_reserve and sample.person_id in better:
            found.setdefault(sample.person_id, []).append(sample.embedding)
    return {person_id: np.array(rows) for person_id, rows in found.items()}


def _in_both(inside: GalleryFile, outside: GalleryFile) -> tuple[str, ...]:
    """Whoever in ``outside`` has an id, or shows exactly the same in a photograph, as somebody in ``inside``."""
    ids = {s.person_id for s in inside.samples}
    pictures = {s.picture for s in inside.samples} | {u.picture for u in inside.unused if u.picture}
    found = (s.person_id for s in outside.samples if s.person_id in ids or s.picture in pictures)
    return tuple(dict.fromkeys(found))
