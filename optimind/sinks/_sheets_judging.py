"""What people changed in a spreadsheet: what stands there and was not put there by the program. Pure."""

from collections.abc import Iterable

from optimind.plugin_api import KnownStatuses, StatusChange
from optimind.sinks._sheets_letters import status_of
from optimind.sinks._sheets_register import RegisterView
from optimind.sinks._sheets_table import View

__all__ = ["Judge"]


class Judge:
    """Tells people's changes from what was delivered.

    It remembers the cells that were looked into and are no change, so that only new ones are asked about. While it does
    not ``trust`` what it sees, because a write did not end well, it finds nothing.
    """

    def __init__(self) -> None:
        self.trusts = True
        self._statuses: dict[str, str] = {}
        self._letters: dict[str, str] = {}

    def forget(self, record_ids: Iterable[str]) -> None:
        """Look into these again: they are about to be written, and then what was no change before may be one."""
        for key in record_ids:
            self._statuses.pop(key, None)
            self._letters.pop(key, None)

    def changes(self, log: View, registers: Iterable[RegisterView], known: KnownStatuses) -> list[StatusChange]:
        """Return the changes, each record once; what stands in the log counts more than a register's letter."""
        if not self.trusts:
            return []
        rows = dict(log.told())
        statuses = [
            (key, log.status_in(row)) for key, row in rows.items() if self._statuses.get(key) != log.status_in(row)
        ]
        letters = [
            (key, text)
            for view in registers
            if view.is_readable
            for key, text in view.letters()
            if self._letters.get(key) != text
        ]
        asked = list(dict.fromkeys(key for key, _ in (*statuses, *letters)))
        written = known(asked) if asked else {}
        found: dict[str, StatusChange] = {}
        for remembered, told in ((self._statuses, statuses), (self._letters, letters)):
            for key, text in told:
                status = status_of(text)
                if key not in written or status in written[key]:
                    remembered[key] = text
                elif key not in found:
                    actor = " ".join(log.corrector_in(rows[key]).split()) if key in rows else ""
                    found[key] = StatusChange(record_id=key, text=text, status=status, actor=actor)
        return list(found.values())
