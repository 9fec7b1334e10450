"""Who may see a spreadsheet, through the Google Drive API. Used only where a person asks for it.

The Drive API must be enabled for this, and the account gets a wider right for the moment: to read what Drive says of
the file, or, to share it, to change files that are shared with the account.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from google.auth.exceptions import GoogleAuthError, TransportError
from gspread.exceptions import APIError

from optimind.plugin_api import DeliveryDelayed, DeliveryRefused, Secret
from optimind.sinks._sheets_api import GoogleClient, load_key

__all__ = ["ROLES", "Access", "Sharing"]

ROLES = ("reader", "commenter", "writer")
_DRIVE = "https://www.googleapis.com/auth/drive"
_READING = f"{_DRIVE}.metadata.readonly"
_FIELDS = "nextPageToken,permissions(id,role,type,emailAddress,displayName,domain,allowFileDiscovery)"
_PAGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Somebody who may see the spreadsheet, as Drive tells it.

    ``type`` is ``user``, ``group``, ``domain`` (all of an organisation) or ``anyone`` (whoever has the link).
    ``is_found``: it also turns up in a search.
    """

    id: str
    role: str
    type: str
    email: str = ""
    name: str = ""
    domain: str = ""
    is_found: bool = False

    @property
    def is_wide(self) -> bool:
        """Whether more than named people and groups may see it."""
        return self.type not in {"user", "group"}


class Sharing:
    """Who may see one spreadsheet. Each method raises DeliveryDelayed (not now) or DeliveryRefused (a person acts)."""

    def __init__(self, spreadsheet: str, credentials: Secret, endpoint: str, timeout_s: float) -> None:
        """Read the key; nothing is sent yet. Raises :class:`DeliveryRefused` where it is missing or no key."""
        self._key = load_key(credentials)
        self.email = str(self._key.service_account_email)
        self._spreadsheet = spreadsheet
        self._endpoint = endpoint
        self._timeout_s = timeout_s

    def accesses(self) -> list[Access]:
        """Return who may see the spreadsheet, the owner first."""
        found: list[Access] = []
        page = ""
        with self._client(_READING) as client:
            for _ in range(_PAGES):
                query = {"fields": _FIELDS, "pageSize": 100, "supportsAllDrives": "true"}
                answer = self._asked(
                    client, "get", "/permissions", params={**query, **({"pageToken": page} if page else {})}
                )
                found += [_access(each) for each in answer.get("permissions", [])]
                page = str(answer.get("nextPageToken", ""))
                if not page:
                    break
        order = ("owner", "organizer", "fileOrganizer", "writer", "commenter", "reader")
        rank = {role: number for number, role in enumerate(order)}
        return sorted(found, key=lambda each: (not each.is_wide, rank.get(each.role, 9), each.email, each.name))

    def grant(self, email: str, role: str, message: str | None) -> None:
        """Let ``email`` see the spreadsheet as ``role``; with a ``message`` Google writes them a mail."""
        query = {"supportsAllDrives": "true", "sendNotificationEmail": "false" if message is None else "true"}
        if message:
            query["emailMessage"] = message
        body = {"role": role, "type": "user", "emailAddress": email}
        with self._client(_DRIVE) as client:
            self._asked(client, "post", "/permissions", params=query, json=body)

    def remove(self, access: Access) -> None:
        """Take ``access`` away."""
        with self._client(_DRIVE) as client:
            self._asked(client, "delete", f"/permissions/{access.id}", params={"supportsAllDrives": "true"})

    def last_editor(self) -> str:
        """Return the name of who changed the spreadsheet last; empty where that is not known, or was the program."""
        query = {"fields": "lastModifyingUser(displayName,emailAddress,me)", "supportsAllDrives": "true"}
        with self._client(_READING) as client:
            user = self._asked(client, "get", "", params=query).get("lastModifyingUser", {})
        if user.get("me") or user.get("emailAddress") == self.email:
            return ""
        return str(user.get("displayName") or user.get("emailAddress") or "")

    @contextmanager
    def _client(self, scope: str) -> Iterator[GoogleClient]:
        client = GoogleClient(self._key.with_scopes([scope]), self._endpoint, self._timeout_s, quota=None)
        try:
            yield client
        finally:
            client.close()

    def _asked(self, client: GoogleClient, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            response = client.request(method, f"/drive/v3/files/{self._spreadsheet}{path}", **more)
            answer = response.json() if response.content else {}
        except APIError as error:
            raise self._explained(error) from error
        except requests.JSONDecodeError as error:
            raise DeliveryDelayed(
                "what answered was not Google Drive", mend="check the network and sheets: drive_endpoint:"
            ) from error
        except (requests.RequestException, TransportError) as error:
            kind = type(error.__cause__ or error).__name__
            raise DeliveryDelayed(f"Google Drive cannot be reached ({kind})", mend="check the network") from error
        except GoogleAuthError as error:
            raise DeliveryRefused(
                f"the service account {self.email} gets no access to Google Drive",
                mend="check this machine's clock and the key (docs/sheets.md)",
            ) from error
        return answer if isinstance(answer, dict) else {}

    def _explained(self, error: APIError) -> DeliveryDelayed | DeliveryRefused:
        status = error.response.status_code
        details = json.dumps(error.error) if isinstance(error.error, dict) else ""
        if status in {408, 429} or status >= 500 or "ateLimitExceeded" in details:
            return DeliveryDelayed(f"Google Drive is busy or over quota ({status})", mend="try again in a minute")
        if "accessNotConfigured" in details or "SERVICE_DISABLED" in details:
            return DeliveryRefused(
                "the Google Drive API is off",
                mend="only `sheets audit` and `sheets share` need it: in the Google Cloud project of the service "
                "account open APIs & Services, Library, Google Drive API, and press Enable; then wait a minute",
            )
        if status == 404:
            return DeliveryRefused(
                f"Google Drive shows no spreadsheet {self._spreadsheet} to {self.email}",
                mend=f"share the spreadsheet with {self.email} as Editor, and check sheets: spreadsheet:",
            )
        if status == 403:
            return DeliveryRefused(
                f"{self.email} may not tell or change who sees the spreadsheet",
                mend="make it an Editor, and in the spreadsheet under Share, settings, let editors share",
            )
        said = " ".join(details.split())[:200]
        return DeliveryRefused(f"Google Drive did not do it ({status}: {said})", mend="check the address and the role")


def _access(told: dict[str, Any]) -> Access:
    return Access(
        id=str(told.get("id", "")),
        role=str(told.get("role", "")),
        type=str(told.get("type", "")),
        email=str(told.get("emailAddress", "")),
        name=str(told.get("displayName", "")),
        domain=str(told.get("domain", "")),
        is_found=bool(told.get("allowFileDiscovery")),
    )
