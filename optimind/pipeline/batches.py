"""How many rows leave at once, and which of them is to blame when a sink takes none."""

import json
from collections.abc import Sequence
from dataclasses import fields

from optimind.plugin_api import RecordRow, Sink

__all__ = ["BatchSize", "Suspects"]

_FIELDS = tuple(field.name for field in fields(RecordRow))
_MOST_SUSPECTS = 1000
_ENOUGH_AMONG_OTHERS = 3
_ENOUGH_ALONE = 12
_SINGLE_FAILURES = 3


class BatchSize:
    """As many rows as the sink takes, by number and bytes: fewer after a failure, more again after a success."""

    def __init__(self, sink: Sink) -> None:
        self.most = max(1, sink.batch_rows)
        self.rows = self.most
        self._bytes = sink.batch_bytes

    def cut(self, due: Sequence[tuple[RecordRow, int]]) -> list[tuple[RecordRow, int]]:
        """Return the first of ``due`` that may leave together: at least one."""
        found: list[tuple[RecordRow, int]] = []
        left = self._bytes
        for row, version in due[: self.rows]:
            left -= len(json.dumps([getattr(row, name) for name in _FIELDS], default=str))
            if found and left < 0:
                break
            found.append((row, version))
        return found

    def halve(self, rows: int) -> None:
        """A delivery of so many rows failed."""
        self.rows = max(1, rows // 2)

    def grow(self) -> None:
        """A delivery was taken."""
        self.rows = min(self.most, self.rows * 4)


class Suspects:
    """Rows that a sink did not take though each came alone.

    One is to blame when others were taken between its failures. Where none was, it may be the sink: then a row is given
    up much later, or, where the sink says that a person must act, never.
    """

    def __init__(self) -> None:
        self._failures: dict[tuple[str, int], tuple[int, int]] = {}
        self._taken = 0
        self._in_a_row = 0

    @property
    def is_the_sink(self) -> bool:
        """Whether several rows failed alone, one after the other: asking with the next is no use for now."""
        return self._in_a_row >= _SINGLE_FAILURES

    def taken(self, rows: Sequence[tuple[str, int]]) -> None:
        """Note that the sink took these ``(record_id, version)``."""
        self._taken += 1
        self._in_a_row = 0
        for row in rows if self._failures else ():
            self._failures.pop(row, None)

    def failed(self, row: tuple[str, int], *, is_refusal: bool) -> int | None:
        """Note that the sink did not take ``row``; return how often that was, None where it is to be given up."""
        self._in_a_row += 1
        times, taken_before = self._failures.pop(row, (0, self._taken))
        times += 1
        enough = _ENOUGH_AMONG_OTHERS if self._taken > taken_before else _ENOUGH_ALONE
        if times >= enough and not (is_refusal and self._taken == taken_before):
            return None
        if len(self._failures) >= _MOST_SUSPECTS:
            del self._failures[next(iter(self._failures))]
        self._failures[row] = (times, taken_before)
        return times
