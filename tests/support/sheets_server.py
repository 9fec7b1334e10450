"""A small Google Sheets for the tests: real HTTP, signed tokens, the part of the API that is used, and its faults.

It keeps Google's rules that matter here: a grid has an end, RAW and USER_ENTERED differ, ``null`` leaves a cell alone,
a write that does not fit its range is refused, and a request is applied as a whole or not at all.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from sheets_drive import Drive
from sheets_layout import Layout, pivot_lines
from sheets_model import ApiError, Cell, Formula, Sheet, as_entered, as_shown, as_value, number_of

__all__ = ["EMAIL", "Cell", "Fault", "Formula", "Sheet", "SheetsServer"]

SCOPE = "https://www.googleapis.com/auth/spreadsheets"
SCOPES = {SCOPE, *(f"https://www.googleapis.com/auth/drive{part}" for part in ("", ".metadata.readonly"))}
# What google-auth signs for, wherever token_uri points.
AUDIENCE = "https://oauth2.googleapis.com/token"
EMAIL = "register@school.iam.gserviceaccount.com"


@dataclass
class Fault:
    """What goes wrong with the next requests whose path contains ``path``; ``after`` means after it was applied."""

    path: str = ""
    times: int = 1
    after: bool = False
    status: int = 0
    reset: bool = False
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    action: Callable[[], object] | None = None


class SheetsServer:
    """Serves one spreadsheet at ``url``. ``faults`` are consumed in order; ``requests`` is what was asked, in order."""

    def __init__(self) -> None:
        self.spreadsheet = "1AbC-dEf_" + secrets.token_hex(8)
        self.sheets: dict[str, Sheet] = {"Sheet1": Sheet("Sheet1", 0)}
        self.locale = "en_US"
        self.time_zone = "Europe/London"
        self.editors = {EMAIL}
        self.drive = Drive()
        self.scopes: dict[str, str] = {}
        self.api_enabled = True
        self.key_disabled = False
        self.token_lifetime_s = 3600
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.received_bytes = self.sent_bytes = 0
        self.tokens: dict[str, float] = {}
        self.lock = threading.RLock()
        self._key = _new_key()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def key(self, **changes: Any) -> dict[str, Any]:
        """The JSON of a service account's key, as Google gives it out."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "school",
            "private_key_id": "0123",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": f"{self.url}/token",
            **changes,
        }

    def write_key(self, folder: Path) -> Path:
        """Write the key into ``folder`` as a user would have it."""
        path = folder / "service-account.json"
        path.write_text(json.dumps(self.key()), encoding="utf-8")
        return path

    @property
    def sheet(self) -> Sheet:
        """The worksheet that is written by default."""
        return self.sheets["Log"]

    def pivot(self, title: str, row: int, column: int) -> list[list[Any]]:
        """What the pivot table shows whose first cell is in ``row`` and ``column`` (from 1) of ``title``."""
        return pivot_lines(self.sheets, self.sheets[title].pivots[row, column])

    @contextmanager
    def down(self) -> Iterator[None]:
        """Every request fails at the network meanwhile."""
        fault = Fault(times=1_000_000, reset=True)
        self.faults.insert(0, fault)
        try:
            yield
        finally:
            self.faults.remove(fault)

    # what is answered

    def fault_for(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.path in path:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def token(self, form: dict[str, list[str]]) -> dict[str, Any]:
        """Check the signed assertion and give out an access token."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if form["grant_type"] != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            raise TokenRefusedError("unsupported grant_type")
        try:
            claims = jwt.decode(form["assertion"][0], certs=public, audience=AUDIENCE)  # type: ignore[no-untyped-call] # google-auth types little
        except ValueError as error:
            raise TokenRefusedError(str(error)) from error
        if claims["iss"] != EMAIL or claims["scope"] not in SCOPES or self.key_disabled:
            raise TokenRefusedError("Invalid JWT Signature.")
        token = f"ya29.{secrets.token_urlsafe(60)}"
        self.tokens[token] = time.monotonic() + self.token_lifetime_s
        self.scopes[token] = claims["scope"]
        return {"access_token": token, "expires_in": self.token_lifetime_s, "token_type": "Bearer"}

    def authenticate(self, header: str) -> str:
        """Refuse what is no live token; return the scope that it was given for."""
        token = header.removeprefix("Bearer ")
        if self.tokens.get(token, 0) < time.monotonic():
            raise ApiError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        return self.scopes[token]

    def call_drive(self, method: str, path: str, query: dict[str, list[str]], body: Any, scope: str) -> Any:
        """Answer a request to Google Drive."""
        match = re.fullmatch(r"/drive/v3/files/([^/]+)(.*)", path)
        if match is None or unquote(match[1]) != self.spreadsheet or EMAIL not in self.editors:
            raise ApiError(404, "", "File not found: .", errors=[{"reason": "notFound"}])
        return self.drive.call(method, match[2], query, body, scope)

    def call(self, method: str, path: str, query: dict[str, list[str]], body: Any, scope: str = SCOPE) -> Any:
        """Answer one request of a signed-in client."""
        if scope not in {SCOPE, "https://www.googleapis.com/auth/drive"}:
            raise ApiError(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
        if not self.api_enabled:
            details = [{"reason": "SERVICE_DISABLED"}]
            raise ApiError(403, "PERMISSION_DENIED", "Google Sheets API has not been used in project", details=details)
        match = re.fullmatch(r"/v4/spreadsheets/([^/:]+)(.*)", path)
        if match is None or unquote(match[1]) != self.spreadsheet:
            raise ApiError(404, "NOT_FOUND", "Requested entity was not found.")
        if EMAIL not in self.editors:
            raise ApiError(403, "PERMISSION_DENIED", "The caller does not have permission")
        match (method, match[2]):
            case "GET", "":
                return self._describe()
            case "GET", "/values:batchGet":
                shown = query.get("valueRenderOption", ["FORMATTED_VALUE"]) == ["FORMATTED_VALUE"]
                return {"valueRanges": [self._read(cells, shown=shown) for cells in query["ranges"]]}
            case "POST", "/values:batchUpdate":
                return self._write(body)
            case "POST", ":batchUpdate":
                return {"replies": self._change(body["requests"])}
        raise ApiError(404, "NOT_FOUND", f"{method} {path} is not part of this server")

    def _describe(self) -> dict[str, Any]:
        properties = {"locale": self.locale, "timeZone": self.time_zone, "title": "Register"}
        sheets = [sheet.described(index) for index, sheet in enumerate(self.sheets.values())]
        return {"spreadsheetId": self.spreadsheet, "properties": properties, "sheets": sheets}

    def _read(self, name: str, *, shown: bool = True) -> dict[str, Any]:
        sheet, top, left, bottom, right = self._range(name)
        lines = []
        last = max((row for row, _ in sheet.cells), default=0)
        for row in range(top, min(bottom, last) + 1):
            cells = [sheet.cells.get((row, column), "") for column in range(left, right + 1)]
            line = [as_shown(cell, self.locale) if shown else as_value(cell) for cell in cells]
            while line and line[-1] == "":
                line.pop()
            lines.append(line)
        while lines and not lines[-1]:
            lines.pop()
        answer: dict[str, Any] = {"range": name, "majorDimension": "ROWS"}
        return {**answer, "values": lines} if lines else answer

    def _write(self, body: Any) -> dict[str, Any]:
        entered = body["valueInputOption"] == "USER_ENTERED"
        changes: list[tuple[Sheet, tuple[int, int], Any]] = []
        for block in body["data"]:
            sheet, top, left, bottom, right = self._range(block["range"])
            single = ":" not in block["range"]
            for row, line in enumerate(block["values"], top):
                for column, value in enumerate(line, left):
                    limits = (sheet.rows, sheet.columns) if single else (bottom, right)
                    if row > limits[0] or column > limits[1]:
                        raise ApiError(
                            400,
                            "INVALID_ARGUMENT",
                            f"Requested writing within range [{block['range']}], but tried writing to row [{row}]",
                        )
                    if isinstance(value, str) and len(value) > 50_000:
                        raise ApiError(400, "INVALID_ARGUMENT", "Your input contains more than the maximum of 50000")
                    changes.append((sheet, (row, column), value))
        for sheet, place, value in changes:
            if value == "":
                sheet.cells.pop(place, None)
            elif value is not None:
                sheet.cells[place] = as_entered(value) if entered else value
        return {"spreadsheetId": self.spreadsheet, "totalUpdatedCells": len(changes)}

    def _change(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        layout = Layout(self.sheets, EMAIL)
        replies = [layout.apply(request) for request in requests]
        self.sheets = layout.sheets
        return replies

    def _range(self, name: str) -> tuple[Sheet, int, int, int, int]:
        match = re.fullmatch(r"'((?:[^']|'')+)'!([A-Z]+)?(\d+)?(?::([A-Z]+)?(\d+)?)?", name, re.DOTALL)
        sheet = self.sheets.get(match[1].replace("''", "'")) if match else None
        if match is None or sheet is None:
            raise ApiError(400, "INVALID_ARGUMENT", f"Unable to parse range: {name}")
        left, top = number_of(match[2]) or 1, int(match[3] or 1)
        is_single = ":" not in name.rpartition("!")[2]
        right = left if is_single else number_of(match[4]) or sheet.columns
        bottom = top if is_single else int(match[5] or sheet.rows)
        if max(top, bottom) > sheet.rows or max(left, right) > sheet.columns:
            raise ApiError(
                400,
                "INVALID_ARGUMENT",
                f"Range ({name}) exceeds grid limits. Max rows: {sheet.rows}, max columns: {sheet.columns}",
            )
        return sheet, top, left, bottom, right


class TokenRefusedError(Exception):
    """The token endpoint does not take the assertion."""


@cache
def _new_key() -> rsa.RSAPrivateKey:
    """One key for all tests of a process: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, google: SheetsServer) -> None:
        self.google = google
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it an answer's head and body wait for each other (Nagle and delayed acknowledgements).
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay quiet."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        google = self.server.google
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        google.requests.append(f"{method} {parts.path}")
        google.received_bytes += len(data)
        fault = google.fault_for(parts.path)
        if fault is not None and not fault.after and self._fail(fault):
            return
        with google.lock:
            status, answer = self._answer(method, parts.path, parts.query, data)
        if fault is not None and fault.after and self._fail(fault):
            return
        self._send(status, answer, {})

    def _answer(self, method: str, path: str, query: str, data: bytes) -> tuple[int, Any]:
        google = self.server.google
        if path == "/token":
            try:
                return 200, google.token(parse_qs(data.decode()))
            except TokenRefusedError as error:
                return 400, {"error": "invalid_grant", "error_description": str(error)}
        try:
            scope = google.authenticate(self.headers.get("Authorization", ""))
            call = google.call_drive if path.startswith("/drive/") else google.call
            return 200, call(method, path, parse_qs(query), json.loads(data) if data else None, scope)
        except ApiError as error:
            return error.code, error.body

    def _fail(self, fault: Fault) -> bool:
        """Do what the fault says; True where the request is over with that."""
        if fault.action is not None:
            fault.action()
        time.sleep(fault.delay_s)
        if fault.reset:
            self.close_connection = True
            self.connection.shutdown(2)
            return True
        if fault.status:
            body = fault.body or {"error": {"code": fault.status, "message": "injected", "status": "INJECTED"}}
            self._send(fault.status, body, fault.headers)
            return True
        return False

    def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.server.google.sent_bytes += len(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
