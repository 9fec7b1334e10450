"""Google Sheets: a log, registers and a summary; rows are found again by their record_id. See docs/sheets.md."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from optimind.plugin_api import DeliveryRefused, KnownStatuses, RecordRow, Secret, Settings, Sink, StatusChange

if TYPE_CHECKING:
    from optimind.sinks._quota import Quota
    from optimind.sinks._sheets_api import SheetsApi
    from optimind.sinks._sheets_setup import Comparison, SetUp
    from optimind.sinks._sheets_sharing import Sharing
    from optimind.sinks._sheets_worksheet import Workbook

__all__ = ["QuotaSettings", "SheetsSettings", "SheetsSink"]

_ADDRESS = re.compile(r"https?://[^/]+/spreadsheets/(?:u/\d+/)?d/([\w-]+)")
_ID = re.compile(r"[\w-]+", re.ASCII)
_ENDPOINT = re.compile(r"https?://[^\s?#]+")


def _spreadsheet_id(text: str) -> str:
    address = _ADDRESS.match(text.strip())
    found = address[1] if address else text.strip()
    if not _ID.fullmatch(found):
        raise PydanticCustomError(
            "spreadsheet",
            "is no spreadsheet; copy its whole address from the browser, or the long part between /d/ and /edit",
        )
    return found


def _base_url(text: str) -> str:
    if not _ENDPOINT.fullmatch(text):
        raise PydanticCustomError("endpoint", 'is no base URL; write it like "https://sheets.googleapis.com"')
    return text


def _no_other_title(text: str) -> str:
    if text.strip().casefold() == "summary":
        raise PydanticCustomError("worksheet", 'is what the summary is called; name another one, such as "Log"')
    return text


class QuotaSettings(Settings):
    """How many requests a minute Google allows the account. All processes with the same ``folder`` share them.

    ``folder`` None: one of the user's own, so that all of this user's processes on this machine do.
    """

    reads_per_minute: int = Field(default=60, ge=6, le=100_000)
    writes_per_minute: int = Field(default=60, ge=6, le=100_000)
    folder: Path | None = None


class SheetsSettings(Settings):
    """The section ``sheets:``. ``spreadsheet`` is an id or a whole address, ``credentials`` a service account's key."""

    spreadsheet: Annotated[str, AfterValidator(_spreadsheet_id)]
    credentials: Secret
    endpoint: Annotated[str, AfterValidator(_base_url)] = "https://sheets.googleapis.com"
    drive_endpoint: Annotated[str, AfterValidator(_base_url)] = "https://www.googleapis.com"
    worksheet: Annotated[str, AfterValidator(_no_other_title)] = Field(default="Log", min_length=1, max_length=100)
    registers: bool = True
    protect: bool = True
    timeout_s: float = Field(default=20.0, gt=0, le=300, allow_inf_nan=False)
    quota: QuotaSettings = QuotaSettings()


class SheetsSink(Sink):
    """Keeps a spreadsheet equal to the records it is given, whatever people sort, insert or add there meanwhile.

    A log of all records, a register for each class and month, and a summary.
    """

    name: ClassVar[str] = "sheets"
    settings_type: ClassVar[type[Settings]] = SheetsSettings
    batch_rows: ClassVar[int] = 10_000
    # Google recommends 2 MB a request at most.
    batch_bytes: ClassVar[int] = 1_900_000
    recheck_s: ClassVar[float | None] = 45.0

    def __init__(self, settings: SheetsSettings) -> None:
        self.settings = settings
        self._book: Workbook | None = None
        self._quotas: dict[str, Quota] = {}
        self._is_interrupted = False
        self._late_until = 0.0

    @property
    def target(self) -> str:
        """The log."""
        return f"{self.settings.spreadsheet}/{self.settings.worksheet.casefold()}"

    @classmethod
    def create(cls, settings: SheetsSettings) -> Self:
        """Make the sink; the key is read and Google is asked when the first rows are delivered."""
        return cls(settings)

    def deliver(self, rows: Sequence[RecordRow]) -> None:
        """Write ``rows`` and read back that they stand there. Raises DeliveryDelayed or DeliveryRefused."""
        if rows:
            with self._opened() as book:
                book.deliver(rows, self._late_until)

    def collect(self, rows: Sequence[RecordRow], known: KnownStatuses) -> Sequence[StatusChange]:
        """Return what people changed in the log's column ``status`` and in letters of registers.

        Looked into are the registers of ``rows``; every five minutes, and without ``rows``, those of what was delivered
        before as well. What is read serves the delivery that follows. Nothing is made or written. Raises
        DeliveryDelayed or DeliveryRefused.
        """
        with self._opened() as book:
            return book.collect(rows, known)

    def unsettled(self) -> Collection[str]:
        """Return the records of the last delivery whose register could not be written, as its header is gone."""
        return frozenset() if self._book is None else self._book.unsettled

    def read_table(self, title: str) -> list[list[str]]:
        """Return the texts of the worksheet ``title``, row by row. Raises DeliveryDelayed or DeliveryRefused."""
        with self._opened() as book:
            return book.table(title)

    def set_up(self, classes: Sequence[tuple[str, date]]) -> "SetUp":
        """Make all worksheets with their look, also the registers of ``classes`` (class, and any day of the month)."""
        from optimind.sinks._sheets_register import RegisterKey  # noqa: PLC0415 - see _opened
        from optimind.sinks._sheets_setup import set_up  # noqa: PLC0415 - see _opened

        keys = [RegisterKey(name, day.replace(day=1)) for name, day in classes] if self.settings.registers else []
        with self._opened() as book:
            return set_up(book, list(dict.fromkeys(keys)), protect=self.settings.protect)

    def compare(self, rows: Sequence[RecordRow], waiting: frozenset[str]) -> "Comparison":
        """Say how the worksheets differ from ``rows``, which are all records. Those ``waiting`` are left out."""
        from optimind.sinks._sheets_setup import compare  # noqa: PLC0415 - see _opened

        with self._opened() as book:
            return compare(book, rows, waiting)

    def refresh(self) -> None:
        """Let the summary read the log's columns where they stand now."""
        from optimind.sinks._sheets_setup import refresh  # noqa: PLC0415 - see _opened

        with self._opened() as book:
            refresh(book)

    def sharing(self) -> "Sharing":
        """Return what tells and changes who may see the spreadsheet. Raises DeliveryRefused."""
        from optimind.sinks._sheets_sharing import Sharing  # noqa: PLC0415 - see _opened

        settings = self.settings
        return Sharing(settings.spreadsheet, settings.credentials, settings.drive_endpoint, settings.timeout_s)

    def forget(self, record_ids: Sequence[str], person_id: str) -> bool:
        """Empty the person's rows in every worksheet that has a column record_id or person_id."""
        from optimind.sinks._sheets_forget import forget_rows  # noqa: PLC0415 - slow to load

        with closing(self._api()) as api:
            forget_rows(api, record_ids, person_id)
        return True

    def lacking(self, rows: Sequence[RecordRow], earlier: Sequence[RecordRow]) -> Collection[str]:
        """Say which do not stand in the log once, and of ``rows`` which have no cell in their register.

        Raises DeliveryDelayed or DeliveryRefused.
        """
        with self._opened() as book:
            return book.lacking(rows, earlier)

    def may_come_late(self, seconds: float) -> None:
        """For so long no column is put between others."""
        self._late_until = time.monotonic() + seconds

    def interrupt(self) -> None:
        """The run ends: wait for the quota no longer."""
        self._is_interrupted = True
        for quota in list(self._quotas.values()):
            quota.interrupt()

    def check(self) -> None:
        """Make sure that the log and its header are there, creating what is missing, as for a status check.

        Raises DeliveryDelayed (not now) or DeliveryRefused (a person must act). Where both exist, only the right to
        read is proved: a share as Viewer is noticed when the first row is written.
        """
        try:
            with self._opened() as book:
                book.prepare()
        finally:
            self.close()

    def close(self) -> None:
        """Close the connections; the next delivery opens new ones."""
        if self._book is not None:
            self._book.close()
            self._book = None

    @contextmanager
    def _opened(self) -> Iterator["Workbook"]:
        if self._book is None:
            # Imported here: gspread and google-auth take a while to load, and most commands send nothing.
            from optimind.sinks._sheets_tabs import Tabs  # noqa: PLC0415 - see above
            from optimind.sinks._sheets_worksheet import Workbook  # noqa: PLC0415 - see above

            settings = self.settings
            api = self._api()
            is_named = "worksheet" in settings.model_fields_set
            tabs = Tabs(api, settings.worksheet, is_named=is_named, protect=settings.protect)
            self._book = Workbook(api, tabs, registers=settings.registers)
        try:
            yield self._book
        except DeliveryRefused:
            # A person will act on it, perhaps by another key: begin anew.
            self.close()
            raise

    def _api(self) -> "SheetsApi":
        from optimind.sinks._sheets_api import SheetsApi  # noqa: PLC0415 - see _opened

        settings = self.settings
        return SheetsApi(
            settings.spreadsheet, settings.credentials, settings.endpoint, settings.timeout_s, self._quota_of
        )

    def _quota_of(self, email: str) -> "Quota":
        """The requests that the account ``email`` may make; the endpoint, as another one counts for itself."""
        from optimind.sinks._quota import Quota  # noqa: PLC0415 - filelock and hashlib are of use here only

        told = self.settings.quota
        if email not in self._quotas:
            self._quotas[email] = Quota(
                told.folder or _usual_folder(),
                f"{self.settings.endpoint} {email}",
                {"reads": told.reads_per_minute, "writes": told.writes_per_minute},
            )
        if self._is_interrupted:
            self._quotas[email].interrupt()
        return self._quotas[email]


def _usual_folder() -> Path:
    """Where what a user's processes share for a while is kept; without a home, where temporary files are."""
    base = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/state"
    told = os.environ.get("XDG_STATE_HOME", "")
    base = told if Path(told).is_absolute() and sys.platform != "darwin" else base
    folder = Path(os.path.expanduser(base))  # noqa: PTH111 - stays as it is without a home
    if not folder.is_absolute():
        return Path(tempfile.gettempdir()) / f"optimind-{os.getuid()}" / "quota"
    return folder / "optimind" / "quota"
