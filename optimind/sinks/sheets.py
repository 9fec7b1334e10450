"""Google Sheets: one row a record, found again by its record_id. See docs/sheets.md."""

import os
import re
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from optimind.plugin_api import DeliveryRefused, RecordRow, Secret, Settings, Sink

if TYPE_CHECKING:
    from optimind.sinks._quota import Quota
    from optimind.sinks._sheets_worksheet import Worksheet

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
    worksheet: str = Field(default="Attendance", min_length=1, max_length=100)
    timeout_s: float = Field(default=20.0, gt=0, le=300, allow_inf_nan=False)
    quota: QuotaSettings = QuotaSettings()


class SheetsSink(Sink):
    """Keeps one worksheet equal to the records it is given, whatever people sort, insert or add there meanwhile."""

    name: ClassVar[str] = "sheets"
    settings_type: ClassVar[type[Settings]] = SheetsSettings
    batch_rows: ClassVar[int] = 10_000
    # Google recommends 2 MB a request at most.
    batch_bytes: ClassVar[int] = 1_900_000
    recheck_s: ClassVar[float | None] = 45.0

    def __init__(self, settings: SheetsSettings) -> None:
        self._settings = settings
        self._worksheet: Worksheet | None = None
        self._quota: Quota | None = None
        self._is_interrupted = False

    @property
    def target(self) -> str:
        """The worksheet."""
        return f"{self._settings.spreadsheet}/{self._settings.worksheet.casefold()}"

    @classmethod
    def create(cls, settings: SheetsSettings) -> Self:
        """Make the sink; the key is read and Google is asked when the first rows are delivered."""
        return cls(settings)

    def deliver(self, rows: Sequence[RecordRow]) -> None:
        """Write ``rows`` and read back that they stand there. Raises DeliveryDelayed or DeliveryRefused."""
        if not rows:
            return
        try:
            self._opened().deliver(rows)
        except DeliveryRefused:
            # A person will act on it, perhaps by another key: begin anew.
            self.close()
            raise

    def lacking(self, rows: Sequence[RecordRow]) -> Collection[str]:
        """Say which of ``rows`` do not stand in the worksheet once. Raises DeliveryDelayed or DeliveryRefused."""
        try:
            return self._opened().lacking(rows)
        except DeliveryRefused:
            self.close()
            raise

    def interrupt(self) -> None:
        """The run ends: wait for the quota no longer."""
        self._is_interrupted = True
        if self._quota is not None:
            self._quota.interrupt()

    def check(self) -> None:
        """Make sure that the worksheet and its header are there, creating what is missing, as for a status check.

        Raises DeliveryDelayed (not now) or DeliveryRefused (a person must act). Where both exist, only the right to
        read is proved: a share as Viewer is noticed when the first row is written.
        """
        try:
            self._opened().prepare()
        finally:
            self.close()

    def close(self) -> None:
        """Close the connections; the next delivery opens new ones."""
        if self._worksheet is not None:
            self._worksheet.close()
            self._worksheet = None

    def _opened(self) -> "Worksheet":
        if self._worksheet is None:
            # Imported here: gspread and google-auth take a while to load, and most commands send nothing.
            from optimind.sinks._sheets_api import SheetsApi  # noqa: PLC0415 - see above
            from optimind.sinks._sheets_worksheet import Worksheet  # noqa: PLC0415 - see above

            settings = self._settings
            api = SheetsApi(
                settings.spreadsheet, settings.credentials, settings.endpoint, settings.timeout_s, self._quota_of
            )
            self._worksheet = Worksheet(api, settings.worksheet)
        return self._worksheet

    def _quota_of(self, email: str) -> "Quota":
        """The requests that the account ``email`` may make; the endpoint, as another one counts for itself."""
        from optimind.sinks._quota import Quota  # noqa: PLC0415 - filelock and hashlib are of use here only

        told = self._settings.quota
        self._quota = Quota(
            told.folder or _usual_folder(),
            f"{self._settings.endpoint} {email}",
            {"reads": told.reads_per_minute, "writes": told.writes_per_minute},
        )
        if self._is_interrupted:
            self._quota.interrupt()
        return self._quota


def _usual_folder() -> Path:
    """Where what a user's processes share for a while is kept; without a home, where temporary files are."""
    base = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/state"
    told = os.environ.get("XDG_STATE_HOME", "")
    base = told if Path(told).is_absolute() and sys.platform != "darwin" else base
    folder = Path(os.path.expanduser(base))  # noqa: PTH111 - stays as it is without a home
    if not folder.is_absolute():
        return Path(tempfile.gettempdir()) / f"optimind-{os.getuid()}" / "quota"
    return folder / "optimind" / "quota"
