"""Secrets are named in the settings, never written there; and what a URL hides is hidden in every message.

:class:`Secret` says where a password or key is kept and reads it when it is needed. :func:`mask_url` makes a text that
may contain URLs fit for a log, an error message or a screen.
"""

import os
import re
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from optimind.errors import ConfigError

__all__ = ["Secret", "absolute", "mask_url"]

_FORMS = "{env: NAME} for an environment variable, or {file: PATH} for a file that holds it"
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES = 1 << 20


def absolute(path: Path, folder: Path) -> Path:
    """``path``, taken from ``folder`` where it is relative; ``~`` is the home folder."""
    try:
        return folder / path.expanduser()
    except RuntimeError:  # "~" of somebody who has no home here
        return folder / path


class Secret(BaseModel):
    """Where a secret is kept: ``{env: NAME}`` or ``{file: PATH}``, one of the two; a plain text is refused.

    A relative path is taken from the folder in the validation context ``{"base": Path}``, else from the current one.
    Neither ``repr``, ``str`` nor ``model_dump`` shows more than that place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_place(cls, data: Any) -> Any:
        # The refused value is never repeated: it may be the password itself.
        if isinstance(data, cls):
            return data
        if not isinstance(data, dict):
            raise PydanticCustomError("secret_form", f"a secret is never written here itself; write {_FORMS}")
        given = {key: value for key, value in data.items() if value is not None}
        if not any(key in given for key in cls.model_fields) and set(given) <= set(cls.model_fields):
            raise PydanticCustomError("secret_form", f"does not say where the secret is; write {_FORMS}")
        if all(key in given for key in cls.model_fields):
            raise PydanticCustomError("secret_form", f"names two places; keep one: {_FORMS}")
        return {key: str(value) if isinstance(value, int) else value for key, value in given.items()}

    @field_validator("env")
    @classmethod
    def _env_is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not _ENV_NAME.fullmatch(name):
            raise PydanticCustomError(
                "env_name",
                "is no environment variable's name; write the name alone (letters, digits and _), without $, and not "
                "the secret itself",
            )
        return name

    @field_validator("file")
    @classmethod
    def _file_is_absolute(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is None:
            return None
        return absolute(path, Path((info.context or {}).get("base") or Path.cwd()))

    @model_serializer
    def _place(self) -> dict[str, str]:
        return {"file": str(self.file)} if self.file is not None else {"env": str(self.env)}

    @property
    def path(self) -> Path | None:
        """The absolute path of the file that holds the secret; None where an environment variable holds it."""
        return self.file

    def describe(self) -> str:
        """Say where the secret is kept, for messages."""
        return f"file {self.file}" if self.file is not None else f"environment variable {self.env}"

    def __repr__(self) -> str:
        return f"Secret({self.describe()})"

    def __str__(self) -> str:
        return self.describe()

    def reveal(self) -> str:
        """Read the secret now; the line end that an editor leaves after it is dropped.

        Raises :class:`ConfigError` where the variable or file is missing, cannot be read or is empty.
        """
        return self._from_environment(str(self.env)) if self.file is None else self._from_file(self.file)

    def _from_environment(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise ConfigError(
                f"the environment variable {name} is not set",
                mend=f"set it before the start (export {name}=...), or name a file in the settings: {{file: PATH}}",
            )
        if not value.strip():
            raise ConfigError(f"the environment variable {name} is empty", mend=f"set {name} to the secret itself")
        return value

    def _from_file(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            raise ConfigError(
                f"the secret's file {path} does not exist",
                mend="put the file there or correct its path in the settings",
            ) from None
        except IsADirectoryError:
            raise ConfigError(
                f"the secret's file {path} is a folder", mend="name the file inside it in the settings"
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                f"the secret's file {path} cannot be read: {reason}",
                mend="let the user that runs OptiMind read it (chmod, chown), or correct its path in the settings",
            ) from None
        if len(data) > _MOST_BYTES:
            raise ConfigError(f"the secret's file {path} is over 1 MiB, so it is no secret", mend="correct its path")
        try:
            value = data.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigError(f"the secret's file {path} is not UTF-8 text", mend="save it as UTF-8 text") from None
        if not value.strip():
            raise ConfigError(f"the secret's file {path} is empty", mend="write the secret into it")
        return value


_HIDDEN = "***"
_CLOSERS = "'\")]}>,.;"
# The counts are bounded so that a long text without a URL in it costs no more than its length.
_SECRET_QUERY = re.compile(
    r"[\w.%\[\]-]{0,40}(?:pas|pwd|token|secret|key|auth|sig|credential)[\w.%\[\]-]{0,40}=([^&\s]*)", re.IGNORECASE
)


def mask_url(text: str) -> str:
    """Return ``text`` with user, password and the values of ``?token=``, ``&pwd=`` and the like hidden in its URLs.

    Where it cannot be known whether a part belongs to a password (one with an unescaped ``/`` or ``@`` in it), it is
    hidden: rather too much than a password in a log.
    """
    before, *urls = text.split("://")
    return "://".join([before, *map(_masked, urls)])


def _masked(rest: str) -> str:
    """Mask what follows ``://``: the URL's rest and any text behind it."""
    shown, done = [], 0
    for start, end in _merged(_hidden_spans(rest)):
        shown += [rest[done:start], _HIDDEN]
        done = end
    return "".join([*shown, rest[done:]])


def _hidden_spans(rest: str) -> list[tuple[int, int]]:
    word = re.split(r"\s", rest, maxsplit=1)[0]
    authority = re.split(r"[/?#]", word, maxsplit=1)[0]
    spans = []
    if "@" in word and ("@" in authority or ":" in authority):
        # The last @: a password may hold more of them, and a / after which a parser would see the path.
        spans.append((0, word.rindex("@")))
    elif _has_no_port(authority):
        # "user:pass" and no @ in sight: a password with a blank in it, or half a URL.
        line = re.split(r"[\r\n]", rest, maxsplit=1)[0]
        at = line.find("@")
        tail = re.split(r"\s", line[at:], maxsplit=1)[0] if at >= 0 else ""
        spans.append((0, at + tail.rindex("@") if tail else len(authority)))
    for match in _SECRET_QUERY.finditer(rest, authority.rfind("@") + 1):
        value = match[1].rstrip(_CLOSERS)
        if value:
            spans.append((match.start(1), match.start(1) + len(value)))
    return spans


def _has_no_port(authority: str) -> bool:
    """Whether what follows the last colon is there and is no port: then it may be a password."""
    _, colon, port = authority.rstrip(_CLOSERS + ":").rpartition(":")
    return bool(colon) and not port.isdecimal() and not authority.startswith("[")


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif end > start:
            merged.append((start, end))
    return merged
