"""From a folder of photographs to a gallery file: only what is new is computed, and nothing computed is lost."""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from optimind.cores import available_cores
from optimind.errors import DatasetError, GalleryMissing, Interrupted
from optimind.gallery.consent import only_consenting, withheld
from optimind.gallery.dataset import Dataset, Photograph, scan_dataset
from optimind.gallery.format import GalleryFile, Sample, Unused, gallery_lock, load_gallery, save_gallery
from optimind.gallery.journal import Journal, journal_of
from optimind.gallery.likeness import likeness_warnings
from optimind.gallery.outcome import Entry, Outcome
from optimind.gallery.people import imported_dropped, join_imported, people_removed
from optimind.gallery.report import EncodeReport, EncodeWarning, Rejection
from optimind.gallery.workers import EngineFactory, outcomes
from optimind.sealing import PLAIN, Sealer

__all__ = ["EngineFactory", "Progress", "encode_dataset"]

ENCODER: Final = 3
"""Rises when a photograph would be judged or embedded differently; then everything is computed again."""

Progress = Callable[[int, int], None]
"""Called with how many photographs are done and how many there are."""


def encode_dataset(
    dataset: Path,
    output: Path,
    engine: EngineFactory,
    workers: int | None = None,
    progress: Progress = lambda _done, _all: None,
    *,
    consenting: frozenset[str] | None = None,
    sealer: Sealer = PLAIN,
) -> EncodeReport:
    """Enrol every photograph below ``dataset`` into the gallery file ``output``.

    ``engine`` must find faces from :data:`~optimind.gallery.quality.MIN_FACE_PX`. ``workers`` processes (None: one a
    core) work on what the gallery does not know yet. A photograph that cannot be used is reported, not an error; a
    gallery of nobody is written too, where there was nobody in it. Imported samples stay.

    Of whoever is not among ``consenting`` (person ids; None: everybody is) no photograph is looked at, and what the
    gallery holds of them is taken out, also where nobody is left. ``sealer`` encrypts and decrypts what is written.

    Raises :class:`UsageError` (no such folder), :class:`DatasetError` (no photograph, or nobody would be left),
    :class:`GalleryError` and its kinds (the file that is there cannot be used, is being written, or cannot be written;
    it is then untouched), :class:`SealRefused`, :class:`EngineError`, :class:`Interrupted` (Ctrl-C; what was done is
    kept).
    """
    started = time.monotonic()
    found, no_consent = withheld(scan_dataset(dataset), consenting)
    detector, embedder = engine.describe()
    base = GalleryFile(embedder.embedder_id, embedder.dimension, detector=detector, encoder=ENCODER, path=output)
    with gallery_lock(output):
        old = _earlier(output, sealer)
        key = f"{base.embedder}/{base.dimension}/{base.detector}/{ENCODER}"
        with Journal(journal_of(output), key, sealer) as journal:
            run = _Run(found, _Known(old, base, journal.earlier), journal, progress)
            try:
                duplicates = run.complete(engine, workers or available_cores())
                people = ((p.person_id, p.name) for p in found.photographs)
                imported = join_imported(_imported(old, base), people)
                if consenting is not None:
                    imported = [sample for sample in imported if sample.person_id in consenting]
                gallery = run.gallery(base, duplicates, imported)
                left, others = (None, {}) if old is None else only_consenting(old, consenting)
                if left is not None and left.people and not gallery.people:
                    journal.delete()
                    if others:
                        save_gallery(output, left, sealer)
                    raise _nobody_left(dataset, output, left)
                if old is None or not _same(old, gallery):
                    save_gallery(output, gallery, sealer)
            except KeyboardInterrupt as stop:
                raise Interrupted(
                    f"interrupted: {len(run.done)} of {len(found.photographs)} are kept; run the same command to go on"
                ) from stop
            journal.delete()
    lost = [*no_consent, *imported_dropped(old, gallery), *people_removed(old, gallery)]
    return run.report(gallery, duplicates, lost, time.monotonic() - started)


def _nobody_left(dataset: Path, output: Path, old: GalleryFile) -> DatasetError:
    enrolled = "1 person is" if old.people == 1 else f"{old.people} people are"
    return DatasetError(
        f"no photograph in {dataset} could be used, and {enrolled} enrolled in {output}; nothing was changed",
        mend=f"name the right folder with --dataset; to remove everybody on purpose: rm {shlex.quote(str(output))}",
    )


class _Known:
    """Outcomes of earlier runs, by file and by content."""

    def __init__(self, old: GalleryFile | None, base: GalleryFile, journal: Iterable[Entry]) -> None:
        self._by_file: dict[str, Entry] = {}
        self._by_content: dict[str, Outcome] = {}
        self._sizes: set[int] = set()
        for entry in (*_entries(old, base), *journal):
            self._by_file[entry.file] = entry
            if entry.outcome.embedding is not None or entry.outcome.sha256 not in self._by_content:
                self._by_content[entry.outcome.sha256] = entry.outcome
            self._sizes.add(entry.size)

    def outcome(self, photograph: Photograph) -> Outcome | None:
        """Return what is known of a photograph. One with another path or time is read only if its size is known."""
        entry = self._by_file.get(photograph.file)
        if entry and (entry.size, entry.mtime_ns) == (photograph.size, photograph.mtime_ns):
            return self._by_content[entry.outcome.sha256]
        if photograph.size not in self._sizes:
            return None
        try:
            with open(photograph.path, "rb") as file:  # noqa: PTH123 - paths are text here
                return self._by_content.get(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError:
            return None  # looking at it will say why


@dataclass(slots=True)
class _Run:
    """One run's state: ``done`` holds the outcome of each file, ``computed`` the files that were looked at now."""

    found: Dataset
    known: _Known
    journal: Journal
    progress: Progress
    done: dict[str, Outcome] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)

    def complete(self, engine: EngineFactory, workers: int) -> dict[str, Rejection]:
        """Get an outcome for every photograph; return the duplicates by file."""
        for photograph in self.found.photographs:
            if outcome := self.known.outcome(photograph):
                self.done[photograph.file] = outcome
        self.progress(len(self.done), len(self.found.photographs))
        self._compute([p for p in self.found.photographs if p.file not in self.done], engine, workers)
        duplicates = _duplicates(self.found.photographs, self.done)
        # A duplicate's embedding is not stored: when its twin is deleted, it has to be looked at again.
        bare = [
            p
            for p in self.found.photographs
            if p.file not in duplicates and not self.done[p.file].reason and self.done[p.file].embedding is None
        ]
        self._compute(bare, engine, workers)
        return duplicates

    def _compute(self, photographs: list[Photograph], engine: EngineFactory, workers: int) -> None:
        if not photographs:
            return
        # Starting a process costs as much as looking at several photographs.
        workers = min(workers, max(1, len(photographs) // 8))
        with closing(outcomes(photographs, engine, workers)) as stream:
            for photograph, outcome in stream:
                if outcome.sha256:
                    self.journal.append(Entry(photograph.file, photograph.size, photograph.mtime_ns, outcome))
                self.done[photograph.file] = outcome
                self.computed.add(photograph.file)
                self.progress(len(self.done), len(self.found.photographs))

    def gallery(self, base: GalleryFile, duplicates: dict[str, Rejection], imported: list[Sample]) -> GalleryFile:
        """Return the new content of the file."""
        samples, unused = list(imported), []
        for p in self.found.photographs:
            outcome = self.done[p.file]
            rejection = self._rejection(p, duplicates)
            if rejection is None and outcome.embedding is not None:
                samples.append(
                    Sample(
                        p.person_id, p.name, outcome.embedding, p.file, p.size, p.mtime_ns, outcome.sha256,
                        outcome.picture, outcome.face_px, outcome.sharpness, outcome.smaller_faces,
                        outcome.frontality, outcome.light,
                    )
                )  # fmt: skip
            elif rejection is not None and outcome.sha256:
                unused.append(
                    Unused(
                        p.file, p.size, p.mtime_ns, outcome.sha256, outcome.picture, rejection.reason, rejection.detail
                    )
                )
        return GalleryFile(
            base.embedder, base.dimension, tuple(samples), tuple(unused), base.detector, base.encoder, base.path
        )

    def report(
        self, gallery: GalleryFile, duplicates: dict[str, Rejection], lost: list[EncodeWarning], seconds: float
    ) -> EncodeReport:
        """Return what to tell."""
        rejections = [r for p in self.found.photographs if (r := self._rejection(p, duplicates))]
        enrolled = sum(s.file in self.computed for s in gallery.samples)
        warnings = [
            *lost,
            *self.found.warnings,
            *_left_out(self.found.photographs, gallery),
            *_in_reserve(gallery),
            *_smaller_faces(gallery),
            *likeness_warnings(gallery.samples, gallery.embedder),
        ]
        return EncodeReport(
            people=gallery.people,
            samples=len(gallery.samples),
            enrolled=enrolled,
            reused=len(gallery.samples) - enrolled,
            rejected=(*self.found.rejected, *rejections),
            warnings=tuple(warnings),
            seconds=seconds,
            output=str(gallery.path),
        )

    def _rejection(self, photograph: Photograph, duplicates: dict[str, Rejection]) -> Rejection | None:
        outcome = self.done[photograph.file]
        if outcome.reason:
            return Rejection(photograph.file, outcome.reason, outcome.detail)
        return duplicates.get(photograph.file)


def _earlier(output: Path, sealer: Sealer) -> GalleryFile | None:
    try:
        return load_gallery(output, sealer)
    except GalleryMissing:
        return None


def _entries(old: GalleryFile | None, base: GalleryFile) -> Iterator[Entry]:
    """Yield what an earlier gallery knows that still holds; a rejection holds for the same detector only."""
    if old is None or not _comparable(old, base) or old.encoder != base.encoder:
        return
    for s in old.samples:
        if s.file:
            yield Entry(
                s.file, s.size, s.mtime_ns,
                Outcome(
                    s.sha256, s.picture, "", "", s.embedding,
                    s.face_px, s.sharpness, s.smaller_faces, s.frontality, s.light,
                ),
            )  # fmt: skip
    if old.detector == base.detector:
        for u in old.unused:
            kept = ("", "") if u.reason == "duplicate" else (u.reason, u.detail)
            yield Entry(u.file, u.size, u.mtime_ns, Outcome(u.sha256, u.picture, *kept))


def _comparable(old: GalleryFile, base: GalleryFile) -> bool:
    return (old.embedder, old.dimension) == (base.embedder, base.dimension)


def _imported(old: GalleryFile | None, base: GalleryFile) -> list[Sample]:
    return [s for s in old.samples if not s.file] if old is not None and _comparable(old, base) else []


def _same(old: GalleryFile, new: GalleryFile) -> bool:
    def identity(gallery: GalleryFile) -> tuple[object, ...]:
        rows = [(s.person_id, s.name, s.file, s.size, s.mtime_ns, s.sha256) for s in gallery.samples]
        return (gallery.embedder, gallery.dimension, gallery.detector, gallery.encoder, gallery.unused, rows)

    return identity(old) == identity(new)


def _duplicates(photographs: Iterable[Photograph], done: dict[str, Outcome]) -> dict[str, Rejection]:
    """Find photographs that show exactly the same. Of one person's the first counts; of several people's, none.

    Which of the people it shows cannot be known, and a wrong guess would let one be taken for the other.
    """
    twins: dict[str, list[Photograph]] = {}
    for photograph in photographs:
        if not done[photograph.file].reason:
            twins.setdefault(done[photograph.file].picture, []).append(photograph)
    found = {}
    for group in twins.values():
        one_person = len({p.person_id for p in group}) == 1
        for number, photograph in enumerate(group):
            if one_person and number:
                detail = f"shows the same as {group[0].file}, which is enrolled"
            elif not one_person:
                theirs = [p.file for p in group if p.person_id != photograph.person_id]
                others = ", ".join(theirs[:3]) + (f" and {len(theirs) - 3} more" if len(theirs) > 3 else "")
                detail = f"shows the same as {others}, of someone else; none of them is enrolled"
            else:
                continue
            found[photograph.file] = Rejection(photograph.file, "duplicate", detail)
    return found


def _left_out(photographs: Iterable[Photograph], gallery: GalleryFile) -> list[EncodeWarning]:
    """Name the people of whom no photograph could be used: nobody will recognise them."""
    enrolled = {s.person_id for s in gallery.samples}
    missing: dict[str, list[Photograph]] = {}
    for photograph in photographs:
        if photograph.person_id not in enrolled:
            missing.setdefault(photograph.person_id, []).append(photograph)
    return [
        EncodeWarning("not_enrolled", tuple(p.file for p in own), f"no photograph of {own[0].name} could be used")
        for own in missing.values()
    ]


def _in_reserve(gallery: GalleryFile) -> list[EncodeWarning]:
    """Name the photographs that count only as long as there is no better one."""
    rest = "it counts only while there is no better photograph of the person"
    turned = tuple(s.file for s in gallery.samples if s.is_turned_away)
    dim = tuple(s.file for s in gallery.samples if s.is_badly_lit)
    kinds = (
        ("turned_away", turned, f"the face looks far away from the camera, so {rest}; add one that looks into it"),
        ("badly_lit", dim, f"the face is too dark, blown out or half in the shadow, so {rest}; add one in even light"),
    )
    return [EncodeWarning(*kind) for kind in kinds if kind[1]]


def _smaller_faces(gallery: GalleryFile) -> list[EncodeWarning]:
    files = tuple(s.file for s in gallery.samples if s.smaller_faces)
    detail = "other faces, smaller or at the side, were passed over"
    return [EncodeWarning("small_faces_ignored", files, detail)] if files else []
