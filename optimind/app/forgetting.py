"""Forgets a person in every store, and proves it by searching all of them afterwards.

What sinks must forget is noted in the transaction that takes the person out of the ledger. Where this is cut off, doing
it again completes it: each step finds what is left, and the proof comes last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from optimind.app.configured import limits_of
from optimind.app.rosters import roster_table
from optimind.app.sinks import enabled_sinks
from optimind.config import Config
from optimind.core.identification import Identifier, Verdict
from optimind.errors import ConfigError, DeliveryError, EngineError, GalleryMissing, StorageError
from optimind.gallery import GalleryFile, gallery_lock, load_gallery, to_core
from optimind.gallery.removing import (
    Traces,
    digests_of,
    files_of,
    remove_files,
    remove_from_gallery,
    remove_leftovers,
    search_dataset,
    search_gallery,
)
from optimind.plugin_api import Sink
from optimind.sealing import Sealer
from optimind.storage import Erased, Ledger, Search, VisitorStore, Wanted, ledger_file, open_ledger
from optimind.weights.calibrations import calibration_of

__all__ = [
    "ForgetReport",
    "Places",
    "SinkReport",
    "finish_forgetting",
    "forget_person",
    "found_of",
    "visitors_who_are",
]

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 10.0
"""How long to wait for a run that is just delivering; it does the rest itself."""
_PIECE_BYTES: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where everything is: the ledger's URL, the gallery and the folder of photographs."""

    url: str
    gallery: Path
    dataset: Path

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger; none is made to forget somebody."""
        path = ledger_file(self.url)
        return path is None or path.exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkReport:
    """What a sink did: ``state`` is ``done``, ``waits`` (it is done later), ``refused`` or ``cannot``."""

    sink: str
    state: str
    records: int
    detail: str = ""
    mend: str = ""


@dataclass(slots=True, kw_only=True)
class ForgetReport:
    """What was removed, what the sinks did, and the proof: what is left where. ``notes`` are for a person to read."""

    person_id: str
    removed: dict[str, int] = field(default_factory=dict)
    pseudonym: str = ""
    sinks: list[SinkReport] = field(default_factory=list)
    proof: list[Search] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many traces are left."""
        return sum(len(each.left) for each in self.proof)

    @property
    def needs_a_person(self) -> bool:
        """Whether something must still be done by hand or later."""
        return bool(self.notes) or any(each.state != "done" for each in self.sinks)

    def as_json(self) -> dict[str, Any]:
        """The document that ``person forget --json`` prints."""
        return {
            "person_id": self.person_id,
            "removed": self.removed,
            "pseudonym": self.pseudonym,
            "sinks": [
                {"sink": s.sink, "state": s.state, "records": s.records, "detail": s.detail, "mend": s.mend}
                for s in self.sinks
            ],
            "proof": [
                {
                    "store": each.store,
                    "searched": each.searched,
                    "left": each.left,
                    "other": each.other,
                    "unsure": each.unsure,
                }
                for each in self.proof
            ],
            "left": self.left,
            "notes": self.notes,
        }


@dataclass(slots=True)
class _Known:
    """What is known of the person before anything is deleted, to search for it afterwards."""

    names: set[str] = field(default_factory=set)
    pieces: list[bytes] = field(default_factory=list)
    templates: list[bytes] = field(default_factory=list)
    digests: dict[int, set[str]] = field(default_factory=dict)


def found_of(config: Config, person_id: str, places: Places) -> dict[str, int]:
    """How much there is of a person: photographs, templates, and rows by table. Nothing is changed."""
    counts = {"photographs": sum(len(files) for files in digests_of(files_of(places.dataset, person_id)).values())}
    gallery = _gallery(places.gallery, config.privacy.sealer())
    counts["templates"] = sum(s.person_id == person_id for s in gallery.samples) if gallery else 0
    if places.has_ledger:
        with open_ledger(places.url, create=False) as ledger:
            counts |= ledger.personal.counts(person_id)
    return {name: number for name, number in counts.items() if number}


def forget_person(
    config: Config,
    person_id: str,
    places: Places,
    *,
    names: Sequence[str] = (),
    keep_counts: bool = False,
    redact: bool = False,
    actor: str = "",
) -> ForgetReport:
    """Remove all that is stored of ``person_id``, have the sinks forget it, and search every store for what is left.

    ``names`` are searched for besides those that the stores know. With ``keep_counts`` records that nothing changes any
    more stay under a pseudonym; with ``redact`` the person is taken out of what people wrote of others. Raises
    :class:`OptiMindError` where a store cannot be changed; what was removed until then is gone, and the same call
    completes it.
    """
    sealer = config.privacy.sealer()
    report = ForgetReport(person_id=person_id)
    known = _Known(set(names))
    sinks = enabled_sinks(config)
    try:
        gallery = _gallery(places.gallery, sealer)
        _learn(known, gallery, person_id, places)
        if places.has_ledger:
            _forget_visitors(config, gallery, person_id, places, report)
            with open_ledger(places.url, create=False) as ledger:
                _learn_from_ledger(known, ledger, person_id)
                erased = ledger.personal.forget(
                    person_id, sinks=[sink.name for sink in sinks], keep_counts=keep_counts, actor=actor
                )
                if redact:
                    _redact(ledger, known, person_id, [sink.name for sink in sinks], report)
            _note_erased(report, erased)
        _forget_files(known, person_id, places, sealer, report)
        if places.has_ledger:
            with open_ledger(places.url, create=False) as ledger:
                _scrub(ledger, report)
                report.sinks = _forget_in_sinks(ledger, sinks, person_id)
    finally:
        for sink in sinks:
            sink.close()
    _prove(known, person_id, places, sealer, report)
    report.notes += _on_roster(config, person_id)
    return report


def finish_forgetting(ledger: Ledger, sinks: Sequence[Sink]) -> list[SinkReport]:
    """Have ``sinks`` forget what they could not be told before; nobody else delivers to them meanwhile.

    It is quick where there is nothing to do, and leaves a sink to which somebody is just delivering for the next time.
    What a sink does not take now is tried with the next call; nothing is raised for that. Raises :class:`StorageError`.
    """
    return [_ask(ledger, sink, wishes, "") for sink in sinks if (wishes := ledger.personal.wishes(sink.name))]


def _gallery(path: Path, sealer: Sealer) -> GalleryFile | None:
    try:
        return load_gallery(path, sealer)
    except GalleryMissing:
        return None


def _learn(known: _Known, gallery: GalleryFile | None, person_id: str, places: Places) -> None:
    """Note names and photographs before they go."""
    if gallery is not None:
        known.names |= {sample.name for sample in gallery.samples if sample.person_id == person_id}
    known.digests = digests_of(files_of(places.dataset, person_id))


def _learn_from_ledger(known: _Known, ledger: Ledger, person_id: str) -> None:
    known.names |= set(ledger.personal.names(person_id))
    for rows in ledger.personal.rows(person_id).values():
        pictures = (value for row in rows for value in row.values() if isinstance(value, bytes))
        # From the middle: pictures begin alike.
        known.pieces += [p[len(p) // 2 :][:_PIECE_BYTES] for p in pictures if len(p) >= 4 * _PIECE_BYTES]


def _forget_visitors(
    config: Config, gallery: GalleryFile | None, person_id: str, places: Places, report: ForgetReport
) -> None:
    """Delete the visitors who are surely the person: a run that did not know them yet kept them as such."""
    if gallery is None or not any(sample.person_id == person_id for sample in gallery.samples):
        return
    with VisitorStore(places.url, create=False, sealer=config.privacy.sealer()) as store:
        gone = store.forget(visitors_who_are(config, gallery, person_id, store))
    if gone.visitors:
        report.removed["visitors"] = gone.visitors


def visitors_who_are(config: Config, gallery: GalleryFile, person_id: str, store: VisitorStore) -> list[int]:
    """The visitors in ``store`` who are surely that person of ``gallery``."""
    vectors = store.vectors(gallery.embedder)
    if not vectors:
        return []
    identifier = _identifier(config, gallery)
    matches = {visitor: identifier.identify(own) for visitor, own in vectors.items()}
    return [v for v, m in matches.items() if m.verdict is Verdict.ACCEPTED and m.person_id == person_id]


def _identifier(config: Config, gallery: GalleryFile) -> Identifier:
    try:
        calibration = calibration_of(gallery.embedder)
    except EngineError:
        calibration = None
    return Identifier(to_core(gallery), limits_of(config, min_samples=1), calibration)


def _redact(ledger: Ledger, known: _Known, person_id: str, sinks: Sequence[str], report: ForgetReport) -> None:
    """Take the person out of others' texts, and let what was decided by these be said anew."""
    wanted = Wanted(person_id=person_id, names=tuple(sorted(known.names)))
    texts, records = ledger.personal.redact(wanted, is_decided=False)
    ledger.redecide(records, sinks)
    # The lines that tell of those decisions may repeat what the reasons were.
    more, _ = ledger.personal.redact(wanted, is_decided=True)
    if texts + more:
        report.removed["texts of others redacted"] = texts + more


def _note_erased(report: ForgetReport, erased: Erased) -> None:
    report.removed |= erased.rows
    report.pseudonym = erased.pseudonym
    if erased.kept_counts:
        report.removed["records made anonymous"] = erased.kept_counts
    if erased.audit_lines:
        report.removed["audit lines"] = erased.audit_lines


def _forget_files(known: _Known, person_id: str, places: Places, sealer: Sealer, report: ForgetReport) -> None:
    """Take photographs and templates out, while nobody encodes."""
    is_anywhere = places.gallery.parent.is_dir()  # a folder that is not there is not made for its lock
    with gallery_lock(places.gallery) if is_anywhere else nullcontext():
        leftovers = remove_leftovers(places.gallery)
        files, outside = remove_files(files_of(places.dataset, person_id))
        samples, pieces = remove_from_gallery(places.gallery, sealer, lambda one: one == person_id)
    known.templates = pieces
    counts = {"photographs": files, "templates": samples, "files of an interrupted encode": len(leftovers)}
    report.removed |= {name: number for name, number in counts.items() if number}
    report.notes += [f"{place}: a link among the photographs led there; delete it yourself" for place in outside]


def _scrub(ledger: Ledger, report: ForgetReport) -> None:
    """Take what was deleted out of the files' bytes; where that is not possible now the proof says what is left."""
    try:
        is_done = ledger.personal.scrub()
        why = "another program was reading it"
    except StorageError as error:
        is_done, why = False, error.message
    if not is_done:
        report.notes.append(
            f"the files of the ledger could not be written anew ({why}): stop what uses it and run this command again"
        )


def _forget_in_sinks(ledger: Ledger, sinks: Sequence[Sink], person_id: str) -> list[SinkReport]:
    reports = [_ask(ledger, sink, ledger.personal.wishes(sink.name), person_id) for sink in sinks]
    enabled = {sink.name for sink in sinks}
    for name, count in sorted(ledger.personal.pending().items()):
        if name not in enabled:
            mend = f"delete them there by hand, or switch {name} on again: then the next delivery does it"
            reports.append(SinkReport(sink=name, state="waits", records=count, detail="it is switched off", mend=mend))
    return reports


def _ask(ledger: Ledger, sink: Sink, record_ids: Sequence[str], person_id: str) -> SinkReport:
    """Have one sink forget these records, while nobody else delivers to it."""

    def told(state: str, detail: str = "", mend: str = "") -> SinkReport:
        return SinkReport(sink=sink.name, state=state, records=len(record_ids), detail=detail, mend=mend)

    deadline = time.monotonic() + (_PATIENCE_S if person_id else 0)
    while True:
        with ledger.delivery_lock(sink.name) as is_mine:
            if is_mine:
                return _asked(ledger, sink, record_ids, person_id, told)
        if time.monotonic() >= deadline:
            return told("waits", "a run is delivering to it", "the next delivery does it")
        time.sleep(0.2)


def _asked(
    ledger: Ledger, sink: Sink, record_ids: Sequence[str], person_id: str, told: Callable[..., SinkReport]
) -> SinkReport:
    try:
        can = sink.forget(record_ids, person_id)
    except DeliveryError as error:
        log.warning("sink %s could not forget %d records yet: %s", sink.name, len(record_ids), error)
        return told("waits", error.message, error.mend)
    except Exception as error:  # noqa: BLE001 - a sink is somebody's plugin: whatever it raises, the wish is kept
        log.warning("sink %s failed to forget %d records: %s", sink.name, len(record_ids), type(error).__name__)
        return told("waits", f"it failed with {type(error).__name__}", f"look at the sink {sink.name}")
    # Who cannot will not later either: the user is told, once.
    ledger.personal.fulfilled(sink.name, record_ids)
    if can:
        return told("done")
    if record_ids:
        log.warning("sink %s cannot forget: delete the rows of %d records there by hand", sink.name, len(record_ids))
    mend = "delete the rows there by hand, by their record_id: " + ", ".join(record_ids)
    return told("cannot", "it cannot delete rows", mend) if record_ids else told("done")


def _prove(known: _Known, person_id: str, places: Places, sealer: Sealer, report: ForgetReport) -> None:
    """Open every store afresh and search it."""
    names = tuple(sorted(known.names - {""}))
    report.proof.append(_as_search("photographs", search_dataset(places.dataset, person_id, names, known.digests)))
    report.proof.append(
        _as_search("gallery", search_gallery(places.gallery, sealer, person_id, names, known.templates))
    )
    if not places.has_ledger:
        report.proof.append(Search(store="ledger", searched="there is none"))
        return
    wanted = Wanted(person_id=person_id, names=names, pieces=(*known.pieces, *known.templates))
    with open_ledger(places.url, create=False) as ledger:
        report.proof.append(ledger.personal.search_tables(wanted))
        in_bytes = ledger.personal.search_files(wanted)
    if in_bytes is None:
        report.notes.append("the database server keeps logs and backups of its own: look what is in them")
    else:
        report.proof.append(in_bytes)


def _on_roster(config: Config, person_id: str) -> list[str]:
    """Where the administrator's table of rosters still names the person: the next run would enter them again."""
    path = config.timetable and config.timetable.rosters and config.timetable.rosters.csv
    if not path:
        return []
    try:
        lines = roster_table(path).lines
    except ConfigError as error:
        return [f"the roster could not be searched ({error.message}): whom it names the next run enters again"]
    return [
        f"{path}:{line.number}: this roster still names them, and the next run enters them again: take the line out"
        for line in lines
        if line["person_id"] == person_id
    ]


def _as_search(store: str, traces: Traces) -> Search:
    return Search(store=store, searched=traces.searched, left=traces.left, other=traces.other)
