"""Who is who from one run to the next: imported people that are enrolled too, and people who are gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from optimind.core.naming import name_key
from optimind.gallery.format import GalleryFile, Sample
from optimind.gallery.report import EncodeWarning

__all__ = ["imported_dropped", "join_imported", "name_key", "people_removed"]


def join_imported(imported: Iterable[Sample], people: Iterable[tuple[str, str]]) -> list[Sample]:
    """Give imported samples the id and name of the person of the photographs who has the same id or name.

    ``people``: ids and names of the photographs. Case and underscores in names do not count. A name that several people
    have stays apart: nobody can know which of them it is.
    """
    names = dict(people)
    ids: dict[str, set[str]] = {}
    for person_id, name in names.items():
        ids.setdefault(name_key(name), set()).add(person_id)
    joined = []
    for sample in imported:
        same = {sample.person_id} if sample.person_id in names else ids.get(name_key(sample.name), set())
        if len(same) == 1:
            (person_id,) = same
            joined.append(replace(sample, person_id=person_id, name=names[person_id]))
        else:
            joined.append(sample)
    return joined


def people_removed(old: GalleryFile | None, new: GalleryFile) -> list[EncodeWarning]:
    """Name the people who were in the gallery and are not in it now; :func:`imported_dropped` has the others."""
    if old is None:
        return []
    gone = _gone(old, new, imported=False)
    if _comparable(old, new):
        gone |= _gone(old, new, imported=True)
    if not gone:
        return []
    listed = ", ".join(name if name == person_id else f"{name} ({person_id})" for person_id, name in gone.items())
    return [EncodeWarning("person_removed", (), f"in the gallery before and no longer: {listed}")]


def imported_dropped(old: GalleryFile | None, new: GalleryFile) -> list[EncodeWarning]:
    """Name the imported people whom another embedder has put out of the gallery, and whom no photograph brings back."""
    if old is None or _comparable(old, new):
        return []
    names = _gone(old, new, imported=True)
    if not names:
        return []
    detail = (
        f"{', '.join(names.values())}: imported encodings of {old.embedder} cannot be compared with those of "
        f"{new.embedder}, so nobody will recognise them; enrol photographs of them"
    )
    return [EncodeWarning("imported_dropped", (), detail)]


def _gone(old: GalleryFile, new: GalleryFile, *, imported: bool) -> dict[str, str]:
    """Names by id. An imported person who is enrolled under another id is not gone."""
    ids = {s.person_id for s in new.samples}
    names = {name_key(s.name) for s in new.samples} if imported else set()
    return {
        s.person_id: s.name
        for s in old.samples
        if (not s.file) is imported and s.person_id not in ids and name_key(s.name) not in names
    }


def _comparable(old: GalleryFile, new: GalleryFile) -> bool:
    return (old.embedder, old.dimension) == (new.embedder, new.dimension)
