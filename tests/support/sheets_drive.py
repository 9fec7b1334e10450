"""The part of Google Drive that tells and changes who may see a file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from sheets_model import ApiError

__all__ = ["Drive"]

_DRIVE = "https://www.googleapis.com/auth/drive"
_READING = {_DRIVE, f"{_DRIVE}.readonly", f"{_DRIVE}.metadata.readonly", f"{_DRIVE}.metadata"}
_ROLES = {"reader", "commenter", "writer", "fileOrganizer", "organizer", "owner"}


@dataclass
class Drive:
    """``permissions`` as Drive lists them; ``last`` is who changed the file last."""

    enabled: bool = True
    may_share: bool = True
    page_size: int = 100
    permissions: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    mails: list[tuple[str, str]] = field(default_factory=list)

    def call(self, method: str, path: str, query: dict[str, list[str]], body: Any, scope: str) -> Any:
        if not self.enabled:
            raise _error(403, "accessNotConfigured", "Google Drive API has not been used in project 1 before")
        if not set(scope.split()) & (_READING if method == "GET" else {_DRIVE}):
            raise _error(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
        fields = query.get("fields", [""])[0]
        if match := re.fullmatch(r"/permissions(?:/(\w+))?", path):
            return self._permissions(method, match[1], query, body)
        if method == "GET" and path == "" and "lastModifyingUser" in fields:
            return {"lastModifyingUser": self.last} if self.last else {}
        raise _error(404, "notFound", f"{method} {path} is not part of this server")

    def _permissions(self, method: str, key: str | None, query: dict[str, list[str]], body: Any) -> Any:
        if method == "GET" and key is None:
            start = int(query.get("pageToken", ["0"])[0])
            page = self.permissions[start : start + self.page_size]
            more = start + self.page_size < len(self.permissions)
            return {"permissions": page, **({"nextPageToken": str(start + self.page_size)} if more else {})}
        if not self.may_share:
            raise _error(403, "insufficientFilePermissions", "The user does not have sufficient permissions")
        if method == "POST" and key is None:
            if body["role"] not in _ROLES or body["type"] != "user" or "@" not in body.get("emailAddress", ""):
                raise _error(400, "badRequest", "The permission is not valid")
            if query.get("sendNotificationEmail") != ["false"]:
                self.mails.append((body["emailAddress"], query.get("emailMessage", [""])[0]))
            made = {"id": f"p{len(self.permissions)}", **body}
            self.permissions.append(made)
            return made
        if method == "DELETE" and key is not None:
            if all(each["id"] != key for each in self.permissions):
                raise _error(404, "notFound", f"Permission not found: {key}")
            self.permissions = [each for each in self.permissions if each["id"] != key]
            return {}
        raise _error(404, "notFound", f"{method} {key} is not part of this server")


def _error(code: int, reason: str, message: str) -> ApiError:
    return ApiError(code, "", message, errors=[{"reason": reason, "message": message, "domain": "global"}])
