"""Enrols a visitor: their best pictures become photographs of somebody, and these go into the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimind.config import Config
from optimind.core.templates import UNLIKE, outliers, typical
from optimind.core.types import Gallery, Template
from optimind.engines import EngineFactory, engine_for_enrolment, engine_for_gallery
from optimind.errors import EngineError, GalleryMissing, UsageError
from optimind.gallery import EncodeReport, GalleryFile, load_gallery, to_core
from optimind.gallery.adding import Owner, added, owner_of, photographs_in
from optimind.gallery.consent import how_to_consent
from optimind.gallery.dataset import Photograph
from optimind.gallery.encoder import Progress, encode_dataset
from optimind.gallery.likeness import ALIKE
from optimind.gallery.look import look_into
from optimind.gallery.outcome import Outcome
from optimind.gallery.people import name_key
from optimind.gallery.quality import MIN_FACE_PX
from optimind.sealing import Sealer
from optimind.storage.visitors import KeptShot, Visitor, VisitorStore
from optimind.weights.calibrations import calibration_of

__all__ = ["Enrolment", "Others", "as_json", "enrol_visitor"]

MOST_PHOTOGRAPHS: Final = 6
"""So many pictures of a visitor become photographs: more of one camera add little."""
_STRANGERS_APART: Final = 0.82
"""Stands in for the strangers' distance where it was not measured, as in identification."""


class Others(NamedTuple):
    """What became of the other photographs in the folder, which are encoded along: how many are in the gallery now and
    were not before, how many were looked at and not used, and how many are not in it any more."""

    enrolled: int = 0
    rejected: int = 0
    removed: int = 0


@dataclass(slots=True, kw_only=True)
class Enrolment:
    """What came of it. ``files`` are the photographs that are in the gallery now, below the dataset folder.

    ``refused`` says why nothing was done, ``rejected`` which pictures were not used and why, as (reason, detail).
    ``others``: what else the encoder has changed; None where it was not started, and then nothing was changed.
    """

    visitor: Visitor
    owner: Owner
    gallery: Path
    files: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    refused: str = ""
    others: Others | None = None

    @property
    def is_enrolled(self) -> bool:
        """Whether photographs of the visitor are in the gallery now."""
        return bool(self.files)


def enrol_visitor(
    config: Config,
    store: VisitorStore,
    visitor_id: int,
    *,
    dataset: Path,
    output: Path,
    name: str | None = None,
    person_id: str | None = None,
    force: bool = False,
    consenting: frozenset[str] | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Enrolment:
    """Make photographs of the visitor's best pictures, of the person called ``name`` or of that ``person_id``.

    The folder is encoded into the gallery ``output`` as ``encode`` does it, with whatever else has changed in it, and
    the visitor is deleted: the photographs are the truth then. Where none can be used, or the visitor does not look
    like that person or looks like another one (and it is not by ``force``), nothing is left in ``dataset`` and the
    visitor stays; the same where a consent is asked for (``consenting`` is not None: the ids of those who gave it) and
    that person's is not recorded. ``progress`` is the encoder's. Raises :class:`UsageError`, and what ``encode``
    raises.
    """
    visitor = store.visitor(visitor_id)
    photographs = photographs_in(dataset)
    owner = owner_of(photographs, name=name, person_id=person_id)
    sealer = config.privacy.sealer()
    gallery = _gallery(output, sealer)
    if gallery is not None:
        _require_the_same_people(gallery, photographs, dataset)
    engine = _engine(config, gallery)
    result = Enrolment(visitor=visitor, owner=owner, gallery=output)
    if consenting is not None and owner.person_id not in consenting:
        result.refused = f"no consent of {owner.name} is recorded; {how_to_consent([owner.person_id])}"
        return result
    pictures = _usable(_spread(store.shots(visitor_id), visitor), engine, result)
    if not pictures:
        return result
    vectors = np.array([outcome.embedding for _, outcome in pictures])
    embedder = engine.describe()[1].embedder_id
    if gallery is not None and gallery.embedder == embedder and not force:
        result.refused = _objection(typical(vectors, _apart(embedder)), owner, to_core(gallery), _apart(embedder))
    if result.refused:
        return result
    chosen = [shot.picture for shot, _ in pictures[:MOST_PHOTOGRAPHS]]
    with added(dataset, owner.person_id, chosen, f"visitor-{visitor_id}") as paths:
        report = encode_dataset(dataset, output, engine, progress=progress, consenting=consenting, sealer=sealer)
        files = [path.relative_to(dataset).as_posix() for path in paths]
        _note(result, report, files)
        result.others = _others(gallery, load_gallery(output, sealer), report, files)
        paths[:] = [dataset / file for file in result.files]
    if result.files:
        store.forget([visitor_id])
    return result


def _gallery(path: Path, sealer: Sealer) -> GalleryFile | None:
    try:
        return load_gallery(path, sealer)
    except GalleryMissing:
        return None


def _engine(config: Config, gallery: GalleryFile | None) -> EngineFactory:
    """The engine that made the gallery, for another one would encode everybody again."""
    if gallery is None or not gallery.people:
        return engine_for_enrolment(config, MIN_FACE_PX)
    return replace(engine_for_gallery(config, gallery), min_face_px=MIN_FACE_PX)


def _require_the_same_people(gallery: GalleryFile, photographs: Sequence[Photograph], dataset: Path) -> None:
    """Encoding takes those out of the gallery who have no photograph: here that would be a wrong folder."""
    here = {photograph.person_id for photograph in photographs}
    missing = sorted({sample.name for sample in gallery.samples if sample.file and sample.person_id not in here})
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UsageError(
            f"{', '.join(missing[:3])}{more}: in the gallery {gallery.path}, but without a photograph in {dataset}",
            mend="name the folder that the gallery was made from with --dataset, or run encode first",
        )


def _spread(shots: Sequence[KeptShot], visitor: Visitor) -> list[KeptShot]:
    """The best picture of each visit first, then the second best of each: several of one moment are worth little."""
    by_visit = [[shot for shot in shots if first <= shot.taken_at <= last] for first, last in visitor.visits]
    ranked = [shot for rank in zip_longest(*by_visit) for shot in rank if shot is not None]
    # The times of a recording may be anything; none is left out for that.
    known = {id(shot) for shot in ranked}
    return [*ranked, *(shot for shot in shots if id(shot) not in known)]


def _usable(shots: Sequence[KeptShot], engine: EngineFactory, result: Enrolment) -> list[tuple[KeptShot, Outcome]]:
    """Look at the pictures as ``encode`` will; those that show somebody else than the others are left out."""
    loaded = engine()
    embedder = engine.describe()[1].embedder_id
    good: list[tuple[KeptShot, Outcome]] = []
    for number, shot in enumerate(shots, 1):
        outcome = look_into(shot.picture, f"picture {number}", *loaded)
        if outcome.embedding is None:
            result.rejected.append((outcome.reason, f"picture {number}: {outcome.detail}"))
        else:
            good.append((shot, outcome))
    if len(good) < 3:
        return good
    vectors = np.array([outcome.embedding for _, outcome in good])
    unlike = dict(outliers(vectors, UNLIKE * _apart(embedder)))
    for distance in unlike.values():
        result.rejected.append(("outlier", f"a picture is unlike the visitor's others (distance {distance:.2f})"))
    return [one for row, one in enumerate(good) if row not in unlike]


def _apart(embedder_id: str) -> float:
    try:
        calibration = calibration_of(embedder_id)
    except EngineError:
        return _STRANGERS_APART
    return _STRANGERS_APART if calibration is None else calibration.strangers_apart


def _objection(centre: NDArray[np.float64], owner: Owner, gallery: Gallery, apart: float) -> str:
    """Why the visitor with the mean embedding ``centre`` is hardly ``owner``; empty where nothing speaks against it."""
    far = sorted(
        ((float(np.linalg.norm(centre - typical(t.embeddings, apart))), t) for t in gallery.templates),
        key=lambda one: one[0],
    )
    own = [distance for distance, template in far if _is(template, owner)]
    others = [one for one in far if not _is(one[1], owner)]
    if others and others[0][0] <= ALIKE * apart and (not own or others[0][0] < own[0]):
        distance, nearest = others[0]
        return (
            f"the visitor looks like {nearest.name} ({nearest.person_id}), who is enrolled (distance {distance:.2f}); "
            f"add the pictures to them with --person {nearest.person_id}, or do it all the same with --force"
        )
    if own and own[0] > UNLIKE * apart:
        return (
            f"the visitor does not look like {owner.name} ({owner.person_id}), who is enrolled "
            f"(distance {own[0]:.2f}); do it all the same with --force"
        )
    if not own and not owner.is_new:
        return (
            f"{owner.name} ({owner.person_id}) has photographs but is not in the gallery, so nothing can be compared; "
            "run encode first, or do it all the same with --force"
        )
    return ""


def _is(template: Template, owner: Owner) -> bool:
    return template.person_id == owner.person_id or name_key(template.name) == name_key(owner.name)


def _note(result: Enrolment, report: EncodeReport, files: Sequence[str]) -> None:
    """Take from the encoder's report what it says of these files."""
    rejected = {rejection.file: rejection for rejection in report.rejected}
    result.files = [file for file in files if file not in rejected]
    result.rejected += [(rejected[file].reason, rejected[file].detail) for file in files if file in rejected]
    result.warnings = [(each.kind, each.detail) for each in report.warnings if set(each.files) & set(files)]


def _others(before: GalleryFile | None, after: GalleryFile, report: EncodeReport, files: Sequence[str]) -> Others:
    """Count what the encoder changed besides ``files``. What was not used before either is nothing new."""
    had, has = (
        {
            (sample.person_id, sample.file, sample.sha256)
            for sample in (gallery.samples if gallery else ())
            if sample.file
        }
        for gallery in (before, after)
    )
    unused = {unused.file for unused in before.unused} if before else set()
    return Others(
        enrolled=sum(file not in files for _, file, _ in has - had),
        rejected=len({each.file for each in report.rejected}.difference(unused, files)),
        removed=len(
            {(person_id, file) for person_id, file, _ in had} - {(person_id, file) for person_id, file, _ in has}
        ),
    )


def as_json(result: Enrolment) -> dict[str, Any]:
    """The document that ``visitors enrol --json`` prints."""
    return {
        "visitor": result.visitor.visitor_id,
        "enrolled": result.is_enrolled,
        "person_id": result.owner.person_id,
        "name": result.owner.name,
        "new_person": result.owner.is_new,
        "photographs": result.files,
        "rejected": [{"reason": reason, "detail": detail} for reason, detail in result.rejected],
        "warnings": [{"kind": kind, "detail": detail} for kind, detail in result.warnings],
        "refused": result.refused,
        "others": None if result.others is None else result.others._asdict(),
        "gallery": str(result.gallery),
        "visits": [
            {"first_seen_at": first.isoformat(), "last_seen_at": last.isoformat()}
            for first, last in result.visitor.visits
        ],
    }
