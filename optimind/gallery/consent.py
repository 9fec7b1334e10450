"""Who may be enrolled where a consent is asked for: everybody else is left out, and told of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from optimind.gallery.dataset import Dataset
from optimind.gallery.format import GalleryFile
from optimind.gallery.report import EncodeWarning

__all__ = ["how_to_consent", "only_consenting", "withheld"]


def withheld(found: Dataset, consenting: frozenset[str] | None) -> tuple[Dataset, list[EncodeWarning]]:
    """Return the photographs of those among ``consenting`` (None: of all), and what to tell of the others."""
    if consenting is None:
        return found, []
    kept = tuple(photograph for photograph in found.photographs if photograph.person_id in consenting)
    others = [photograph for photograph in found.photographs if photograph.person_id not in consenting]
    warnings = []
    if others:
        people = {photograph.person_id: photograph.name for photograph in others}
        named = [name if name == person_id else f"{name} ({person_id})" for person_id, name in people.items()]
        detail = f"nobody recognises them, for no consent is recorded: {', '.join(named)}; {how_to_consent(people)}"
        warnings.append(EncodeWarning("no_consent", tuple(photograph.file for photograph in others), detail))
    return replace(found, photographs=kept), warnings


def only_consenting(gallery: GalleryFile, consenting: frozenset[str] | None) -> tuple[GalleryFile, dict[str, str]]:
    """Return the gallery with the samples of those among ``consenting`` alone, and the names of the others by id."""
    if consenting is None:
        return gallery, {}
    kept = tuple(sample for sample in gallery.samples if sample.person_id in consenting)
    others = {s.person_id: s.name for s in gallery.samples if s.person_id not in consenting}
    return replace(gallery, samples=kept), others


def how_to_consent(people: Iterable[str]) -> str:
    """The commands that record a consent of these people, by id."""
    first, *more = people
    one = f"optimind person consent {first} --by NAME"
    return f"{one}, or many at once: optimind person consent --csv FILE" if more else one
