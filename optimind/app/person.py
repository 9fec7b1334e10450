"""What is known of people: who may be recognised, and all data of one of them for their own eyes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from optimind.app.forgetting import Places, visitors_who_are
from optimind.config import Config
from optimind.errors import GalleryMissing, OptiMindError, UsageError
from optimind.gallery import GalleryFile, Sample, load_gallery
from optimind.gallery.adding import photographs_in
from optimind.gallery.removing import files_of
from optimind.sealing import Purpose, Sealer
from optimind.storage import Consent, VisitorStore, open_ledger

__all__ = ["Standing", "export_person", "people"]

_README = """\
All that OptiMind keeps of {who} ({person_id}), as of {at}.

data.json       what is stored about you, a list for each table:
                consents    your consent to be recognised, and whether it was withdrawn
                records     when you were present, late or absent, and why it was decided so
                sightings   when and by which camera you were seen
                corrections, excuses    what people noted about your attendance
                members     the classes whose roster you are or were on
                audit       what the log of all decisions and corrections says of you
                visitors    when you were seen as somebody unknown, before you were enrolled
                outbox      which record was sent where (to a Google Sheet, for example)
templates.json  the numbers by which your face is recognised, made from the photographs: a list for each photograph
photographs/    the photographs of you
shots/          the best picture of each record, where it is still kept, and those of you as a visitor

What is not there is not kept. Times in data.json are in UTC. The school or company that runs OptiMind can tell you why
it keeps these data and for how long, correct what is wrong, and delete all of it:  optimind person forget {person_id}

These are personal data: whoever can read this folder knows your face, and when you were where.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether somebody has a template, photographs and a consent that counts (``consent`` None: there is none)."""

    person_id: str
    name: str
    has_template: bool
    has_photographs: bool
    consent: Consent | None
    withdrawn_at: datetime | None = None


def people(config: Config, places: Places) -> list[Standing]:
    """Everybody whom a store knows, by name: the gallery, the photographs, the rosters, the register, the consents."""
    gallery = _gallery(places.gallery, config.privacy.sealer())
    templates = {sample.person_id: sample.name for sample in gallery.samples} if gallery else {}
    pictured = {photograph.person_id: photograph.name for photograph in photographs_in(places.dataset)}
    names: dict[str, str] = {}
    consents: list[Consent] = []
    if places.has_ledger:
        with open_ledger(places.url, create=False) as ledger:
            names |= {row.person_id: row.name for row in ledger.register()}
            names |= {member.person_id: member.name for member in ledger.school.members()}
            consents = ledger.consents.all()
    names |= pictured | templates
    today = datetime.now(config.zone()).date()
    found = [
        Standing(
            person_id=person_id,
            name=names.get(person_id, person_id),
            has_template=person_id in templates,
            has_photographs=person_id in pictured,
            **_newest(consents, person_id, today),
        )
        for person_id in names.keys() | {consent.person_id for consent in consents}
    ]
    return sorted(found, key=lambda one: (one.name.casefold(), one.person_id))


def _newest(consents: Iterable[Consent], person_id: str, today: date) -> dict[str, Any]:
    mine = [consent for consent in consents if consent.person_id == person_id]
    counting = [consent for consent in mine if consent.counts_on(today)]
    withdrawn = [consent.withdrawn_at for consent in mine if consent.withdrawn_at is not None]
    return {
        "consent": counting[-1] if counting else None,
        "withdrawn_at": max(withdrawn) if withdrawn and not counting else None,
    }


def export_person(config: Config, person_id: str, places: Places, output: Path) -> dict[str, int]:
    """Write all data of a person into the new folder ``output``, or into the file where it ends with ``.zip``.

    For its owner's eyes only, and there as a whole or not at all. Returns how much of each kind there was. Raises
    :class:`UsageError` where there is nothing of the person or something at ``output``, :class:`OptiMindError` where
    it cannot be written.
    """
    if output.exists():
        raise UsageError(f"{output} is there already", mend="name a folder or .zip that is not there yet")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}", mend="make it, or name another place with --output")
    sealer = config.privacy.sealer()
    gallery = _gallery(places.gallery, sealer)
    samples = [sample for sample in gallery.samples if sample.person_id == person_id] if gallery else []
    rows: dict[str, list[dict[str, Any]]] = {}
    if places.has_ledger:
        with open_ledger(places.url, create=False) as ledger:
            rows = ledger.personal.rows(person_id)
            if samples and gallery is not None:
                rows |= _visits(config, gallery, person_id, places)
    files = files_of(places.dataset, person_id)
    if not (samples or rows or files):
        raise UsageError(f"nothing is stored of {person_id}", mend="optimind person list shows who there is")
    name = next((s.name for s in samples), None) or next((r["name"] for r in rows.get("records", [])), person_id)
    readme = _README.format(who=name, person_id=person_id, at=f"{datetime.now(config.zone()):%Y-%m-%d %H:%M}")
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=output.parent) as made:
            folder = Path(made) / "all"
            folder.mkdir(mode=0o700)
            counts = _write(folder, readme, rows, samples, files=files, sealer=sealer)
            _put(folder, output)
    except OSError as error:
        raise OptiMindError(
            f"the export {output} cannot be written: {error.strerror or error}",
            mend="make room on the disk, or name another place with --output",
        ) from error
    return counts


def _visits(config: Config, gallery: GalleryFile, person_id: str, places: Places) -> dict[str, list[dict[str, Any]]]:
    """What is kept of the person as somebody unknown, and the pictures of it."""
    with VisitorStore(places.url, create=False, sealer=config.privacy.sealer()) as store:
        theirs = [store.visitor(number) for number in visitors_who_are(config, gallery, person_id, store)]
        visits = [
            {"visitor_id": each.visitor_id, "first_seen_at": first_at, "last_seen_at": last_at, "cameras": each.cameras}
            for each in theirs
            for first_at, last_at in each.visits
        ]
        pictures = [
            {"visitor_id": each.visitor_id, "camera": shot.camera, "taken_at": shot.taken_at, "picture": shot.picture}
            for each in theirs
            for shot in store.shots(each.visitor_id)
        ]
    return {"visitors": visits, "visitor_pictures": pictures} if theirs else {}


def _gallery(path: Path, sealer: Sealer) -> GalleryFile | None:
    with suppress(GalleryMissing):
        return load_gallery(path, sealer)
    return None


def _write(
    folder: Path,
    readme: str,
    rows: dict[str, list[dict[str, Any]]],
    samples: list[Sample],
    *,
    files: list[Path],
    sealer: Sealer,
) -> dict[str, int]:
    _write_file(folder / "README.txt", readme.encode("utf-8", "backslashreplace"))
    shots = {row["record_id"]: row.pop("picture") for row in rows.get("shots", [])}
    for number, row in enumerate(rows.get("visitor_pictures", []), 1):
        _write_file(_inside(folder, "shots") / f"visitor-{row['visitor_id']}-{number}.jpg", row.pop("picture"))
    _write_file(folder / "data.json", _json(rows))
    _write_file(folder / "templates.json", _json([_sample(sample) for sample in samples]))
    for record_id, picture in shots.items():
        opened = sealer.open(picture, Purpose.SHOT, "the picture of a record")
        _write_file(_inside(folder, "shots") / f"{record_id}.jpg", opened)
    photographs = 0
    for path in files:
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            target = _inside(folder, "photographs", *file.relative_to(path.parent).parts[:-1]) / file.name
            _write_file(target, file.read_bytes())
            photographs += 1
    counts = {"photographs": photographs, "templates": len(samples), **{t: len(r) for t, r in rows.items()}}
    return {what: count for what, count in counts.items() if count}


def _inside(folder: Path, *parts: str) -> Path:
    for part in parts:
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "photograph": sample.file,
        "face_px": sample.face_px,
        "sharpness": sample.sharpness,
        "frontality": sample.frontality,
        "light": sample.light,
        "embedding": sample.embedding.tolist(),
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, default=_plain).encode("utf-8", "backslashreplace")


def _plain(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _write_file(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _put(folder: Path, output: Path) -> None:
    """Move the finished folder to its place, as an archive where that is asked for."""
    if output.suffix.lower() != ".zip":
        folder.rename(output)
        return
    archive = folder.with_name("all.zip")
    descriptor = os.open(archive, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            # An archive's names are UTF-8, those of files need not be.
            name = path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o600 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, path.read_bytes())
    shutil.rmtree(folder)
    archive.rename(output)
