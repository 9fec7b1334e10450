"""Taking over encodings that scripts around the library face_recognition have saved."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from optimind.core.types import Vectors
from optimind.errors import GalleryMissing, GalleryRefused, UsageError
from optimind.gallery.consent import how_to_consent
from optimind.gallery.dataset import display_name
from optimind.gallery.format import (
    GalleryFile,
    Sample,
    check_embedder,
    gallery_lock,
    load_gallery,
    save_gallery,
    vectors,
)
from optimind.gallery.likeness import likeness_warnings
from optimind.gallery.people import join_imported
from optimind.gallery.plain_pickle import FloatArray, read_plain_pickle
from optimind.gallery.report import EncodeReport, EncodeWarning
from optimind.sealing import PLAIN, Sealer

__all__ = ["import_encodings"]

EMBEDDER: Final = "dlib-resnet-v1"
DIMENSION: Final = 128
LENGTHS: Final = (1.1, 1.8)
"""Of 6,500 embeddings of that network the shortest was 1.18 long, the longest 1.70; most others normalise to 1."""


def import_encodings(
    file: Path, output: Path, *, consenting: frozenset[str] | None = None, sealer: Sealer = PLAIN
) -> EncodeReport:
    """Put the encodings in ``file`` into the gallery ``output``: a person a name.

    Who is not among ``consenting`` (person ids; None: everybody is) is left out; ``sealer`` is the gallery's.

    The file is a pickle of ``{"encodings": [...], "names": [...]}`` or of the two lists, in any order. What an earlier
    import put into the gallery is replaced; what came from photographs stays, and who is there by the same name is the
    same person. Raises :class:`UsageError` (no such file), :class:`GalleryRefused` (not such a pickle, or not of that
    library), :class:`GalleryMismatch` (``output`` was made by another embedder), and what
    :func:`optimind.gallery.format.save_gallery` and ``gallery_lock`` raise.
    """
    started = time.monotonic()
    try:
        content = read_plain_pickle(file, "make it again with the program that wrote it, or name another file")
    except GalleryMissing as error:
        raise UsageError(f"there is no file {file} to import", mend="name the right file after --import") from error
    try:
        names, matrix = _names_and_vectors(content)
    except (TypeError, ValueError) as error:
        raise GalleryRefused(
            f"{file} cannot be imported: {error}",
            mend='it must be a pickle of {"encodings": [...], "names": [...]} as made with face_recognition',
        ) from error
    samples = tuple(Sample(name, display_name(name), vector) for name, vector in zip(names, matrix, strict=True))
    with gallery_lock(output):
        try:
            old = load_gallery(output, sealer)
            check_embedder(old, EMBEDDER)
        except GalleryMissing:
            old = GalleryFile(EMBEDDER, DIMENSION)
        kept = tuple(s for s in old.samples if s.file)
        joined = join_imported(samples, ((s.person_id, s.name) for s in kept))
        may = [s for s in (*joined, *kept) if consenting is None or s.person_id in consenting]
        others = {s.person_id: s.name for s in joined if consenting is not None and s.person_id not in consenting}
        gallery = GalleryFile(EMBEDDER, DIMENSION, tuple(may), old.unused, old.detector, old.encoder, output)
        save_gallery(output, gallery, sealer)
    return EncodeReport(
        people=gallery.people,
        samples=len(gallery.samples),
        enrolled=sum(not s.file for s in may),
        reused=sum(bool(s.file) for s in may),
        rejected=(),
        warnings=(*_no_consent(others), *likeness_warnings(gallery.samples, gallery.embedder)),
        seconds=time.monotonic() - started,
        output=str(output),
    )


def _no_consent(others: dict[str, str]) -> list[EncodeWarning]:
    if not others:
        return []
    detail = f"left out, for no consent is recorded: {', '.join(others.values())}; {how_to_consent(others)}"
    return [EncodeWarning("no_consent", (), detail)]


def _names_and_vectors(content: object) -> tuple[list[str], Vectors]:
    encodings, names = _lists(content)
    if not isinstance(names, list | tuple) or not _is_names(names):
        raise TypeError("the names are no list of text")
    for number, name in enumerate(names):
        if not name.strip() or any(unicodedata.category(c) in {"Cc", "Cs"} for c in name):
            raise ValueError(f"name {number} is empty or holds characters that cannot be shown")
    matrix = vectors(_as_vectors(encodings), DIMENSION)
    if len(matrix) != len(names):
        raise ValueError(f"it has {len(matrix)} encodings and {len(names)} names")
    if not len(matrix):
        raise ValueError("it is empty")
    length = float(np.median(np.linalg.norm(matrix, axis=1)))
    if not LENGTHS[0] <= length <= LENGTHS[1]:
        raise ValueError(f"its vectors are {length:.2f} long, which those of face_recognition are not")
    return list(names), matrix


def _lists(content: object) -> tuple[object, object]:
    """Return encodings and names, whichever way the file holds the two."""
    if isinstance(content, dict):
        if "optimind" in content:
            raise ValueError("it is a gallery of OptiMind already; use it as it is")
        if not {"encodings", "names"} <= content.keys():
            raise ValueError("it has no encodings and names")
        return content["encodings"], content["names"]
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise TypeError("it holds no pair of lists")
    first, second = content
    return (second, first) if _is_names(first) else (first, second)


def _is_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _as_vectors(encodings: object) -> object:
    """Turn what scripts write instead of a list of vectors into one: a matrix, or lists of numbers."""
    if isinstance(encodings, FloatArray) and encodings.values.ndim == 2:
        return [FloatArray.of(row) for row in encodings.values]
    if isinstance(encodings, list | tuple):
        return [FloatArray.of(np.array(e)) if _is_numbers(e) else e for e in encodings]
    return encodings


def _is_numbers(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, float) for v in value)
