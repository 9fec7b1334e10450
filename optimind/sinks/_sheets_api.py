"""The part of the Google Sheets API that the Sheets sink uses, through gspread and google-auth.

Everything that goes wrong leaves here as :class:`DeliveryDelayed` or :class:`DeliveryRefused`, and no message holds a
key or token. Imported only when rows are sent: the two libraries take a while to load.
"""

import functools
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import quote

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from gspread import HTTPClient
from gspread.exceptions import APIError
from gspread.urls import SPREADSHEETS_API_V4_BASE_URL
from gspread.utils import absolute_range_name
from requests.auth import AuthBase

from optimind.plugin_api import DeliveryDelayed, DeliveryRefused, OptiMindError, Secret
from optimind.sinks._quota import Kind, Quota
from optimind.sinks._sheets_table import text_of

__all__ = ["BadRequestError", "GoogleClient", "Overview", "SheetsApi", "Tab", "load_key"]

_SCOPE = "https://www.googleapis.com/auth/spreadsheets"
_GOOGLE = SPREADSHEETS_API_V4_BASE_URL.removesuffix("/v4/spreadsheets")
_KEY_FIELDS = ("client_email", "private_key", "token_uri")
_NEW_KEY = "make a JSON key for the service account in the Google Cloud console (docs/sheets.md) and put it there"
_LONGEST_WAIT_S = 3600.0
_LONGEST_ADDRESS = 6000
_OVERVIEW = (
    "properties(locale,timeZone),sheets(properties,protectedRanges,conditionalFormats,charts(chartId,spec(title)))"
)
_RESERVED_S = 5.0
"""How long a request that was reserved may be made: Google counts it when it comes."""
_FULL_S = 5.0
"""How long nobody asks where Google says that the quota is used up, and not for how long."""


class BadRequestError(DeliveryRefused):
    """Google answered 400: a range or worksheet is not (or no longer) what the request says, or a row is at fault."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One worksheet: its id in the spreadsheet, and the size of its grid in cells."""

    sheet_id: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A spreadsheet: its settings, its worksheets by title, and what Google says of each (``details``)."""

    locale: str
    time_zone: str
    tabs: dict[str, Tab]
    details: dict[str, dict[str, Any]]


class SheetsApi:
    """One spreadsheet. Each method is one request, and raises DeliveryDelayed or DeliveryRefused."""

    def __init__(
        self,
        spreadsheet: str,
        credentials: Secret,
        endpoint: str,
        timeout_s: float,
        quota_of: Callable[[str], Quota],
    ) -> None:
        """Read the key; nothing is sent yet. ``quota_of`` gives what the account of that address may ask.

        Raises :class:`DeliveryRefused` where the key is missing or is none.
        """
        key = load_key(credentials)
        self.spreadsheet = spreadsheet
        self.email = str(key.service_account_email)
        self._client = GoogleClient(key, endpoint, timeout_s, quota_of(self.email))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def reserve(self) -> None:
        """Wait until a read and a write may be made one right after the other: nothing is to happen between the two."""
        self._client.reserve(reads=1, writes=1)

    def overview(self) -> "Overview":
        """Return the spreadsheet's worksheets and settings."""
        with self._reading():
            found = self._client.fetch_sheet_metadata(self.spreadsheet, {"fields": _OVERVIEW})
            sheets = {sheet["properties"]["title"]: sheet for sheet in found["sheets"]}
            tabs = {title: _tab_of(sheet["properties"]) for title, sheet in sheets.items()}
            properties = found.get("properties", {})
            return Overview(str(properties.get("locale", "")), str(properties.get("timeZone", "")), tabs, sheets)

    def read(self, ranges: Sequence[tuple[str, str]]) -> list[list[list[str]]]:
        """Return the texts of each range (title and A1 notation), as rows; trailing blanks are left out.

        Numbers are texts that do not depend on the spreadsheet's locale. One request, unless the ranges' names are too
        long for one address.
        """
        found: list[list[list[str]]] = []
        for names in _addresses([absolute_range_name(title, cells) for title, cells in ranges]):
            with self._reading():
                options: dict[str, Any] = {"valueRenderOption": "UNFORMATTED_VALUE"}
                answer = self._client.values_batch_get(self.spreadsheet, names, options)
                parts = [part.get("values", []) for part in answer["valueRanges"]]
                # Nearly all are texts, and of a long log there are many.
                found += [
                    [[cell if isinstance(cell, str) else text_of(cell) for cell in row] for row in part]
                    for part in parts
                ]
        if len(found) != len(ranges):
            raise DeliveryDelayed(
                "Google Sheets left ranges out of its answer", mend="the rows wait and are sent later", is_over=True
            )
        return found

    def write(self, blocks: Sequence[tuple[str, str, list[list[Any]]]]) -> None:
        """Write blocks of rows, each into its range (title and A1 notation); None leaves a cell as it is. One request.

        RAW: a text stays that text, whatever it starts with, so nobody's name is a formula.
        """
        with self._explained():
            data = [{"range": absolute_range_name(title, cells), "values": rows} for title, cells, rows in blocks]
            self._client.values_batch_update(self.spreadsheet, {"valueInputOption": "RAW", "data": data})

    def change(self, *requests_: dict[str, Any]) -> None:
        """Apply structural requests, all or none: add a worksheet, rows, columns."""
        with self._explained():
            self._client.batch_update(self.spreadsheet, {"requests": list(requests_)})

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """As :meth:`_explained`, for what changes nothing whenever it comes."""
        try:
            with self._explained():
                yield
        except DeliveryDelayed as error:
            error.is_over = True
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the libraries raise into what a sink raises."""
        try:
            yield
        except APIError as error:
            self._refuse(error)
        except RefreshError as error:
            self._refuse_token(error)
        except (requests.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
            raise DeliveryDelayed(
                "what answered was not Google Sheets", mend="check the network (a log-in page?) and sheets: endpoint:"
            ) from error
        except (requests.RequestException, TransportError) as error:
            # Only the kind: the text of such an error repeats the whole request.
            kind = type(error.__cause__ or error).__name__
            raise DeliveryDelayed(
                f"Google Sheets cannot be reached ({kind})", mend="check the network; the rows wait and are sent later"
            ) from error
        except GoogleAuthError as error:
            raise DeliveryRefused(f"the service account {self.email} cannot sign in", mend=_NEW_KEY) from error

    def _refuse(self, error: APIError) -> NoReturn:
        status = error.response.status_code
        details = error.error if isinstance(error.error, dict) else {}
        said = f"{status}: {_brief(str(details.get('message', '')))}"
        is_over_quota = status == 429 or details.get("status") == "RESOURCE_EXHAUSTED"
        if is_over_quota or status == 408 or status >= 500:
            raise DeliveryDelayed(
                f"Google Sheets is busy or over quota ({said})",
                mend="the rows wait and are sent later",
                retry_after_s=_retry_after_s(error.response.headers.get("Retry-After")),
                # Of any other answer like these nobody knows what was done before it.
                is_over=is_over_quota,
            ) from error
        where = f"the spreadsheet {self.spreadsheet}"
        if status == 403 and "SERVICE_DISABLED" in json.dumps(details):
            what, mend = "the Google Sheets API is off", "enable it in the Google Cloud project of the service account"
        elif status == 403:
            what, mend = f"{where} may not be written", f"share it with {self.email} as Editor"
        elif status == 404:
            what, mend = f"{where} does not exist", "correct sheets: spreadsheet: (the long part of its address)"
        elif status == 401:
            what, mend = f"Google does not accept the service account {self.email}", _NEW_KEY
        elif "above the limit of" in said:
            mend = "delete worksheets, rows or columns that nobody needs, or begin a new spreadsheet (docs/sheets.md)"
            raise BadRequestError(f"{where} is full: it holds 10 million cells ({said})", mend=mend) from error
        else:
            mend = f"make it a Google spreadsheet (no Excel file), unprotected and not full, shared with {self.email}"
            raise BadRequestError(f"{where} did not take the rows ({said})", mend=mend, perhaps_rows=True) from error
        raise DeliveryRefused(f"{what} ({said})", mend=mend) from error

    def _refuse_token(self, error: RefreshError) -> NoReturn:
        said = _brief(str(error.args[0]) if error.args else "")
        if error.retryable:
            raise DeliveryDelayed(
                f"Google's sign-in is down ({said})", mend="the rows wait and are sent later"
            ) from error
        raise DeliveryRefused(
            f"Google does not let the service account {self.email} in ({said})",
            mend=f"check this machine's clock; where it is right the key was deleted or disabled: {_NEW_KEY}",
        ) from error


class _TokenAuth(AuthBase):
    """Signs each request with the service account's access token.

    google-auth's own AuthorizedSession is not used because it also sends the token, in the background, to a fixed
    Google host for a "regional access boundary", whatever endpoint and token_uri say.
    """

    def __init__(self, credentials: Credentials, timeout_s: float) -> None:
        self._credentials = credentials
        self._session = requests.Session()
        self._refresh = functools.partial(Request(self._session), timeout=timeout_s)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not self._credentials.valid:
            self._credentials.refresh(self._refresh)  # type: ignore[no-untyped-call] # google-auth types little
        request.headers["Authorization"] = f"Bearer {self._credentials.token}"
        return request

    def forget(self) -> None:
        """Make the next request ask for a new token."""
        self._credentials.token = None

    def close(self) -> None:
        """Close the connection to the token endpoint."""
        self._session.close()


class GoogleClient(HTTPClient):
    """gspread's client with another base URL, within a quota, with one more try when a token is refused too early.

    ``quota`` None: what is asked is no part of the Sheets API, and does not count.
    """

    def __init__(self, credentials: Credentials, endpoint: str, timeout_s: float, quota: Quota | None) -> None:
        self._quota = quota
        self._reserved: dict[Kind, int] = {}
        self._reserved_until = 0.0
        self._tokens = _TokenAuth(credentials, timeout_s)
        session = requests.Session()
        session.auth = self._tokens
        super().__init__(credentials, session)
        self.set_timeout(timeout_s)
        self._endpoint = endpoint.rstrip("/")

    def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> requests.Response:
        url = self._endpoint + endpoint.removeprefix(_GOOGLE)
        kind: Kind = "reads" if method.lower() == "get" else "writes"
        try:
            return self._asked(kind, method, url, *args, **kwargs)
        except APIError as error:
            if error.response.status_code != 401:
                raise
        self._tokens.forget()
        return self._asked(kind, method, url, *args, **kwargs)

    def reserve(self, *, reads: int, writes: int) -> None:
        """Take from the quota what is asked for within the next seconds."""
        self._reserved = {}
        if self._quota is None:
            return
        self._quota.take(reads=reads, writes=writes)
        self._reserved = {"reads": reads, "writes": writes}
        self._reserved_until = time.monotonic() + _RESERVED_S

    def _asked(self, kind: Kind, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        if self._reserved.get(kind) and time.monotonic() < self._reserved_until:
            self._reserved[kind] -= 1
        elif self._quota is not None:
            self._quota.take(**{kind: 1})
        try:
            return super().request(method, url, *args, **kwargs)
        except APIError as error:
            if error.response.status_code == 429 and self._quota is not None:
                # The other processes of the account need not ask to hear the same.
                wait_s = _retry_after_s(error.response.headers.get("Retry-After"))
                self._quota.spent(kind, _FULL_S if wait_s is None else wait_s)
            raise

    def close(self) -> None:
        self.session.close()
        self._tokens.close()


def load_key(secret: Secret) -> Credentials:
    """Read a service account's key. Raises :class:`DeliveryRefused` where it is missing or no key."""
    where = secret.describe()
    try:
        info = json.loads(secret.reveal())
    except OptiMindError as error:
        raise DeliveryRefused(error.message, mend=error.mend) from None
    except ValueError:
        # Without the cause: its text repeats what it could not read, and that may be the key.
        raise DeliveryRefused(f"sheets: credentials: ({where}) is no JSON", mend=_NEW_KEY) from None
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise DeliveryRefused(f"sheets: credentials: ({where}) is no key of a service account", mend=_NEW_KEY)
    if missing := [field for field in _KEY_FIELDS if not isinstance(info.get(field), str)]:
        raise DeliveryRefused(f"the key in {where} lacks {', '.join(missing)}", mend=_NEW_KEY)
    try:
        # The one scope: spreadsheets that were shared with the account, and nothing of Google Drive.
        key: Credentials = Credentials.from_service_account_info(info, scopes=[_SCOPE])  # type: ignore[no-untyped-call] # google-auth types little
    except (ValueError, GoogleAuthError):
        raise DeliveryRefused(f"the private key in {where} is damaged", mend=_NEW_KEY) from None
    return key


def _tab_of(properties: dict[str, Any]) -> Tab:
    grid = properties.get("gridProperties", {})
    return Tab(int(properties["sheetId"]), int(grid.get("rowCount", 0)), int(grid.get("columnCount", 0)))


def _addresses(names: Sequence[str]) -> Iterator[list[str]]:
    """Split ``names`` where the address that asks for them would become too long."""
    some: list[str] = []
    length = 0
    for name in names:
        size = len("&ranges=") + len(quote(name))
        if some and length + size > _LONGEST_ADDRESS:
            yield some
            some, length = [], 0
        some.append(name)
        length += size
    yield some


def _retry_after_s(header: str | None) -> float | None:
    """Read Retry-After, which is seconds or a date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        except ValueError:
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S) if math.isfinite(seconds) else None


def _brief(text: str) -> str:
    """Shorten an answer for a message: one line, and nothing that looks like a token."""
    line = " ".join(text.split())[:200]
    return re.sub(r"[\w.+/=-]{60,}", "...", line)
