"""What a status check finds: items, and the report that sums them up.

Nothing outside the standard library is imported in this package, and nothing newer than Python 3.8 is used in it: it is
what tells a newcomer which Python and which packages to install.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Item", "Report", "failed_item"]

_NAMED = 3
"""How many parts of one group the closing sentence names; more are counted."""
_PASSWORD = re.compile(r"(?<=//)[^/@\s]+@")
_IN_QUERY = re.compile(r"([?&]\w*(?:pas|pwd|token|secret|key|auth)\w*=)[^&\s]+", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One line of the check.

    ``state`` is ``ok``, ``outdated``, ``missing``, ``failed`` or ``unknown`` (it could not be looked at). ``required``
    says whether OptiMind cannot work without it. ``mend`` is empty where there is nothing to mend.
    """

    group: str
    name: str
    state: str
    found: str = ""
    wanted: str = ""
    mend: str = ""
    required: bool = True

    @property
    def healthy(self) -> bool:
        """Whether nobody has to do anything: an optional part that is not installed is healthy, a broken one is not."""
        return self.state in ("ok", "unknown") or (self.state == "missing" and not self.required)

    def as_dict(self) -> dict[str, str]:
        """The item as `check --json` prints it."""
        return {
            "group": self.group,
            "name": self.name,
            "state": self.state,
            "found": self.found,
            "wanted": self.wanted,
            "mend": self.mend,
        }


@dataclass(frozen=True)
class Report:
    """All items, in the order in which they are shown. ``config_wrong``: the settings file itself is wrong."""

    items: tuple[Item, ...]
    config_wrong: bool = False

    @property
    def ok(self) -> bool:
        """Whether every required part is healthy."""
        return all(item.healthy for item in self.items if item.required)

    @property
    def attention(self) -> list[Item]:
        """The items that need a person, the required ones first."""
        return sorted((item for item in self.items if not item.healthy), key=lambda item: not item.required)

    @property
    def next_steps(self) -> list[str]:
        """What is to be done when all is well, such as enrolling the first people."""
        return [item.mend for item in self.items if item.group == "gallery" and item.state == "missing"]

    @property
    def exit_code(self) -> int:
        """2 for wrong settings, 1 where a required part fails, 3 where an optional one is unhealthy, else 0."""
        if self.config_wrong:
            return 2
        if not self.ok:
            return 1
        return 3 if self.attention else 0

    def sentence(self) -> str:
        """The report in one sentence."""
        unhealthy = self.attention
        if not unhealthy:
            return " Next: ".join(["All is well.", *self.next_steps])
        names: list[str] = []
        for group in dict.fromkeys(item.group for item in unhealthy):
            members = [item.name for item in unhealthy if item.group == group]
            if len(members) > _NAMED:
                names.append(f"{len(members)} {group}s")
            else:
                names += [group if name == group else f"{group} {name}" for name in members]
        return f"{len(unhealthy)} thing{'s need' if len(unhealthy) > 1 else ' needs'} attention: {', '.join(names)}."

    def as_dict(self) -> dict[str, Any]:
        """The report as `check --json` prints it."""
        return {"ok": self.ok, "items": [item.as_dict() for item in self.items]}


def failed_item(item: Item, error: BaseException) -> Item:
    """``item`` as failed, with the error's own words and mend where it has them. Passwords in URLs are hidden."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    if not hasattr(error, "mend") and not isinstance(error, OSError):
        message = f"{type(error).__name__}: {message}"
    mend = getattr(error, "mend", "") or item.mend
    return replace(item, state="failed", found=_hidden(message), mend=_hidden(mend))


def _hidden(text: str) -> str:
    return _IN_QUERY.sub(r"\1***", _PASSWORD.sub("***@", text))
