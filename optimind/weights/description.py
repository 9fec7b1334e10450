"""What is said of a model: where its file comes from, how it is checked, its licence, and how it is fed.

All of it is data, so that another network needs a few lines of YAML and no code. docs/models.md shows every key.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, field_validator, model_validator

__all__ = ["SAME_PERSON", "Archive", "Embedding", "Licence", "Liveness", "ModelDescription"]

SAME_PERSON = 0.6
"""The distance under which two pictures are mostly of one person, on the scale of every embedder in OptiMind."""
LARGEST_BYTES = 4 << 30

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _checksum(value: object) -> object:
    text = str(value).strip().lower()
    if not _SHA256.fullmatch(text):
        raise ValueError("a SHA-256 is 64 of the characters 0-9 and a-f; `sha256sum FILE` prints it")
    return text


Sha256 = Annotated[str, BeforeValidator(_checksum)]
Bytes = Annotated[int, Field(gt=0, le=LARGEST_BYTES)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Part):
    """What may be done with the model. ``note`` is a short sentence for whoever has to decide."""

    name: Annotated[str, Field(min_length=1)]
    url: str = ""
    non_commercial: bool = False
    note: str = ""


class Archive(_Part):
    """The zip pack that the file is in: ``member`` is its name there; checksum and size are the pack's own."""

    member: Annotated[str, Field(min_length=1)]
    sha256: Sha256
    size_bytes: Bytes


class Embedding(_Part):
    """How an embedder is fed and read.

    It takes faces of ``input_size_px`` on each side, aligned by five points, as float32 (n, 3, size, size), channels in
    the order ``channels``, each value ``(0-255 - mean) * scale``; ``mean`` is one number or one a channel, in that
    order. It gives (n, ``dimension``). ``input`` and ``output`` name the tensors; None: the first of each.
    ``metric`` says whether only the vectors' direction counts (``cosine``) or their length as well (``euclidean``).
    ``same_person_distance`` is the Euclidean distance, for ``cosine`` of vectors of length 1, below which two pictures
    are mostly of one person.
    """

    input_size_px: Annotated[int, Field(ge=16, le=1024)] = 112
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: float | tuple[float, float, float] = 0.0
    scale: Annotated[float, Field(gt=0)] = 1.0
    metric: Literal["cosine", "euclidean"] = "cosine"
    dimension: Annotated[int, Field(ge=2, le=8192)]
    same_person_distance: Annotated[float, Field(gt=0)]
    input: str | None = None
    output: str | None = None

    @property
    def factor(self) -> float:
        """What vectors are multiplied by, so that :data:`SAME_PERSON` stands for ``same_person_distance``."""
        return SAME_PERSON / self.same_person_distance

    @model_validator(mode="after")
    def _possible(self) -> Embedding:
        if self.metric == "cosine" and self.same_person_distance >= 2:
            raise ValueError("same_person_distance must be less than 2: vectors of length 1 are never further apart")
        return self


class Liveness(_Part):
    """How a network that tells living faces from pictures of them (kind ``pad``) is fed and read.

    It is given what is around a face: the box made ``crop_scale`` times as wide and high, resized to ``input_size_px``
    on each side, float32 (1, 3, size, size), channels in the order ``channels``, each value ``(0-255 - mean) * scale``;
    both are one number or one a channel, in that order. Of what it gives, after ``activation``, number ``bona_fide``
    (from 0) is how surely it is a living face, 0-1; below ``threshold`` it is suspected. ``input`` and ``output`` name
    the tensors; None: the first of each.
    """

    input_size_px: Annotated[int, Field(ge=16, le=1024)] = 80
    crop_scale: Annotated[float, Field(ge=1, le=8)] = 2.7
    channels: Literal["RGB", "BGR"] = "BGR"
    mean: float | tuple[float, float, float] = 0.0
    scale: PositiveFloat | tuple[PositiveFloat, PositiveFloat, PositiveFloat] = 1.0
    bona_fide: Annotated[int, Field(ge=0, le=63)]
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    input: str | None = None
    output: str | None = None


class ModelDescription(_Part):
    """One model. ``sha256`` and ``size_bytes`` are those of the file that is used, not of a pack around it."""

    name: str
    kind: Literal["detector", "embedder", "pad"]
    about: str = ""
    url: str | None = None
    path: Path | None = None
    sha256: Sha256
    size_bytes: Bytes
    archive: Archive | None = None
    licence: Licence
    embedding: Embedding | None = None
    pad: Liveness | None = None

    @property
    def model_id(self) -> str:
        """The name and eight characters that stand for all that its vectors depend on.

        They are the beginning of the weights' checksum; for an embedder, of a SHA-256 over that checksum and the
        section ``embedding`` as JSON (keys sorted, no spaces): the same weights fed or scaled otherwise are another
        embedder, and nothing of the one may be compared with the other's.
        """
        if self.embedding is None:
            return f"{self.name}-{self.sha256[:8]}"
        how = json.dumps(self.embedding.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return f"{self.name}-{hashlib.sha256((self.sha256 + how).encode()).hexdigest()[:8]}"

    @field_validator("name")
    @classmethod
    def _simple(cls, value: str) -> str:
        # It becomes a file's name, also on a disk that does not tell upper from lower case.
        if not _NAME.fullmatch(value):
            raise ValueError("a name is 1 to 64 lower-case letters, digits, dots, hyphens or underscores")
        return value

    @field_validator("url")
    @classmethod
    def _fetchable(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            has_password = parts.username is not None or parts.password is not None
        except ValueError as error:
            raise ValueError("this is no URL") from error
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("a URL starts with https:// or http://")
        if has_password:
            raise ValueError("a URL that is kept here must not hold a password; fetch the file and give its path")
        return value

    @model_validator(mode="after")
    def _complete(self) -> ModelDescription:
        if (self.url is None) == (self.path is None):
            raise ValueError("give either url or path")
        if self.archive is not None and self.url is None:
            raise ValueError("archive goes with url; a path is that of the network itself")
        if self.kind == "embedder" and self.embedding is None:
            raise ValueError("an embedder needs the section embedding")
        if self.kind != "embedder" and self.embedding is not None:
            raise ValueError("the section embedding is for embedders")
        if self.kind == "pad" and self.pad is None:
            raise ValueError("a model of the kind pad needs the section pad")
        if self.kind != "pad" and self.pad is not None:
            raise ValueError("the section pad is for models of the kind pad")
        return self
