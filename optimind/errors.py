"""Every error that OptiMind raises on purpose.

::

    OptiMindError                 base; says what, where and how to mend it
    ├── UsageError                a command was called wrongly                       exit 2
    ├── ConfigError               config.yaml is wrong: file, line, key              exit 2
    ├── Interrupted               stopped by Ctrl-C; what was done is kept
    ├── DatasetError              the folder of photographs cannot be enrolled
    ├── GalleryError              the gallery file cannot be used
    │   ├── GalleryMissing        there is no gallery file yet
    │   ├── GalleryRefused        the file is no gallery, is damaged, or is hostile
    │   ├── GalleryMismatch       it was made by another embedder
    │   └── GalleryLocked         another encoder is writing it
    ├── SourceError               a camera or recording cannot be read
    │   └── SourceNotFound        the path or device does not exist                  exit 2
    ├── EngineError               a detector or embedder cannot work
    ├── StorageError              the ledger cannot be read or written
    ├── SealRefused               what is encrypted cannot be opened: no key, another one, or it was changed
    ├── PluginError               a plugin, sink, source or engine cannot be loaded
    └── DeliveryError             a sink did not take its rows
        ├── DeliveryDelayed       try again later (down, busy, over quota)
        └── DeliveryRefused       a person must act first (no access, no such sheet)
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ConfigError",
    "DatasetError",
    "DeliveryDelayed",
    "DeliveryError",
    "DeliveryRefused",
    "EngineError",
    "GalleryError",
    "GalleryLocked",
    "GalleryMismatch",
    "GalleryMissing",
    "GalleryRefused",
    "Interrupted",
    "OptiMindError",
    "PluginError",
    "SealRefused",
    "SourceError",
    "SourceNotFound",
    "StorageError",
    "UsageError",
]


class OptiMindError(Exception):
    """What went wrong, and (``mend``) what the reader can do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}\n  mend: {self.mend}" if self.mend else self.message


class UsageError(OptiMindError):
    """A command was called wrongly."""

    exit_code = 2


class ConfigError(OptiMindError):
    """A settings file, or a model's description, is wrong; the message starts with ``file:line: key``."""

    exit_code = 2


class Interrupted(OptiMindError):
    """The user stopped a command that keeps what it has done."""


class DatasetError(OptiMindError):
    """The folder of photographs cannot be enrolled."""


class GalleryError(OptiMindError):
    """The gallery file cannot be used."""


class GalleryMissing(GalleryError):
    """There is no gallery file yet."""


class GalleryRefused(GalleryError):
    """The file is no gallery, is damaged, or holds more than plain data."""


class GalleryMismatch(GalleryError):
    """The gallery was made by another embedder than the one in use."""


class GalleryLocked(GalleryError):
    """Another encoder is writing the gallery."""


class SourceError(OptiMindError):
    """A camera or recording cannot be read."""


class SourceNotFound(SourceError):
    """The path or device named as a source does not exist."""

    exit_code = 2


class EngineError(OptiMindError):
    """A detector or embedder cannot work."""


class StorageError(OptiMindError):
    """The ledger cannot be read or written."""


class SealRefused(OptiMindError):
    """What is encrypted cannot be opened: the key is missing or another one, or it was changed."""


class PluginError(OptiMindError):
    """A plugin, sink, source or engine cannot be loaded."""


class DeliveryError(OptiMindError):
    """A sink did not take its rows; they stay in the outbox."""


class DeliveryDelayed(DeliveryError):
    """The sink is down, busy or over quota; ``retry_after_s`` is its own wish in seconds, if any.

    ``missing`` names records that it was given earlier and has lost (``record_id``): they are delivered again as well.
    ``is_over``: no part of the delivery comes about later, as may be where a server gave no answer.
    """

    def __init__(
        self,
        message: str,
        *,
        mend: str = "",
        retry_after_s: float | None = None,
        missing: tuple[str, ...] = (),
        is_over: bool = False,
    ) -> None:
        super().__init__(message, mend=mend)
        self.retry_after_s = retry_after_s
        self.missing = missing
        self.is_over = is_over


class DeliveryRefused(DeliveryError):
    """The sink will not take the rows until a person acts (no access, no such spreadsheet).

    ``perhaps_rows``: or one of the rows is what it never takes. They are then tried in smaller parts, down to one.
    """

    def __init__(self, message: str, *, mend: str = "", perhaps_rows: bool = False) -> None:
        super().__init__(message, mend=mend)
        self.perhaps_rows = perhaps_rows
