"""Google Sheets: one row a record, found again by its record_id. See docs/sheets.md."""

import re
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from optimind.plugin_api import DeliveryRefused, RecordRow, Secret, Settings, Sink

if TYPE_CHECKING:
    from optimind.sinks._sheets_worksheet import Worksheet

__all__ = ["SheetsSettings", "SheetsSink"]

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


class SheetsSettings(Settings):
    """The section ``sheets:``. ``spreadsheet`` is an id or a whole address, ``credentials`` a service account's key."""

    spreadsheet: Annotated[str, AfterValidator(_spreadsheet_id)]
    credentials: Secret
    endpoint: Annotated[str, AfterValidator(_base_url)] = "https://sheets.googleapis.com"
    worksheet: str = Field(default="Attendance", min_length=1, max_length=100)
    timeout_s: float = Field(default=20.0, gt=0, le=300, allow_inf_nan=False)


class SheetsSink(Sink):
    """Keeps one worksheet equal to the records it is given, whatever people sort, insert or add there meanwhile."""

    name: ClassVar[str] = "sheets"
    settings_type: ClassVar[type[Settings]] = SheetsSettings

    def __init__(self, settings: SheetsSettings) -> None:
        self._settings = settings
        self._worksheet: Worksheet | None = None

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

    def forget(self, record_ids: Sequence[str], person_id: str) -> bool:
        """Empty the person's rows in every worksheet that has a column record_id or person_id."""
        from optimind.sinks._sheets_api import SheetsApi  # noqa: PLC0415 - slow to load
        from optimind.sinks._sheets_forget import forget_rows  # noqa: PLC0415 - as above

        settings = self._settings
        with closing(
            SheetsApi(settings.spreadsheet, settings.credentials, settings.endpoint, settings.timeout_s)
        ) as api:
            forget_rows(api, record_ids, person_id)
        return True

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
            api = SheetsApi(settings.spreadsheet, settings.credentials, settings.endpoint, settings.timeout_s)
            self._worksheet = Worksheet(api, settings.worksheet)
        return self._worksheet
