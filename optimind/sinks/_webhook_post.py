"""One receiver of records over HTTP: what is sent to it, and what its answers mean.

No message names more of its address than the host, for a path may be a password. Imported only when rows are sent.
"""

import hashlib
import hmac
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn
from urllib.parse import urljoin, urlsplit

import requests

from optimind.plugin_api import DeliveryDelayed, DeliveryRefused, RecordRow

__all__ = ["Receiver", "body_of", "signature"]

_MOST_REDIRECTS: Final = 3
_LONGEST_WAIT_S: Final = 3600.0
_KEEPING: Final = (307, 308)
"""Redirects after which the same request is sent to the new place."""
_LATER: Final = (408, 425, 429)
_MENDS: Final = {
    400: "the receiver does not understand what is sent: compare it with docs/webhook.md",
    401: "correct sinks: webhook: secret: or headers: so that the receiver knows who sends",
    403: "correct sinks: webhook: secret: or headers: so that the receiver lets this machine in",
    404: "correct sinks: webhook: url:, or start the receiver there",
    405: "the receiver must take POST at sinks: webhook: url:",
    410: "the receiver wants no more of it: give sinks: webhook: another url:, or switch it off with enabled: false",
    413: "send less at once: lower sinks: webhook: batch:",
}


class Receiver:
    """Where records are posted. Used by one thread."""

    def __init__(self, url: str, key: str | None, headers: Mapping[str, str], timeout_s: float) -> None:
        """Connect to nothing yet. Without ``key`` nothing is signed."""
        self._url = url
        self._key = key
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._place = _place_of(url)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def post(self, rows: Sequence[RecordRow]) -> None:
        """Send ``rows`` in one request. Raises DeliveryDelayed or DeliveryRefused where they were not taken."""
        delivery, body = body_of(rows)
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            with self._answer(url, delivery, body) as answer:
                if 200 <= answer.status_code < 300:
                    return
                if answer.status_code not in _KEEPING:
                    self._explain(answer)
                url = self._next(url, answer)
        raise DeliveryRefused(f"{self._place} redirects in a circle", mend="correct sinks: webhook: url:")

    def _answer(self, url: str, delivery: str, body: bytes) -> requests.Response:
        moment = str(int(time.time()))
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "User-Agent": "OptiMind",
            "X-OptiMind-Delivery": delivery,
            "X-OptiMind-Timestamp": moment,
        }
        if self._key is not None:
            headers["X-OptiMind-Signature"] = signature(self._key, moment, body)
        try:
            # What the receiver writes in its answer is not read, however long it is.
            return self._session.post(
                url, data=body, headers=headers, timeout=self._timeout_s, allow_redirects=False, stream=True
            )
        except requests.exceptions.SSLError:
            raise DeliveryRefused(
                f"the certificate of {self._place} is not valid",
                mend="give the receiver a valid certificate, or name the host that it is for in sinks: webhook: url:",
            ) from None
        except requests.Timeout:
            raise DeliveryDelayed(f"{self._place} did not answer in {self._timeout_s:g} s") from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            raise DeliveryDelayed(
                f"{self._place} cannot be reached", mend="check the network and that the receiver runs"
            ) from None
        except (requests.RequestException, ValueError):
            # Its own text would name the whole address, or a header's value.
            raise DeliveryRefused(
                f"nothing can be sent to {self._place}", mend="correct sinks: webhook: url: and headers:"
            ) from None

    def _next(self, url: str, answer: requests.Response) -> str:
        new = urljoin(url, answer.headers.get("Location", ""))
        if _place_of(new) != self._place:
            raise DeliveryRefused(
                f"{self._place} redirects to another place, where nothing is sent",
                mend="name that place itself in sinks: webhook: url:, if it is to get the records",
            )
        return new

    def _explain(self, answer: requests.Response) -> NoReturn:
        status = answer.status_code
        if status in _LATER or status >= 500:
            wait_s = _retry_after_s(answer.headers.get("Retry-After"))
            raise DeliveryDelayed(f"{self._place} answered {status}: not now", retry_after_s=wait_s)
        mend = _MENDS.get(status, "look into the receiver's own log, and correct sinks: webhook: url:")
        raise DeliveryRefused(f"{self._place} answered {status} and did not take the records", mend=mend)


def body_of(rows: Sequence[RecordRow]) -> tuple[str, bytes]:
    """Return the delivery's id, which is the same whenever the same versions of the same records are sent, and JSON."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.record_id}:{row.version}\n".encode("utf-8", "replace"))
    delivery = digest.hexdigest()[:32]
    document = {"delivery": delivery, "records": [_as_plain(row) for row in rows]}
    # A lone surrogate, as a file name may hold one, is no text that JSON could carry.
    return delivery, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def signature(key: str, moment: str, body: bytes) -> str:
    """The value of X-OptiMind-Signature: HMAC-SHA256 over the timestamp, a full stop, and the body."""
    return "sha256=" + hmac.new(key.encode("utf-8"), f"{moment}.".encode("ascii") + body, hashlib.sha256).hexdigest()


def _as_plain(row: RecordRow) -> dict[str, Any]:
    return {field.name: _plain(getattr(row, field.name)) for field in fields(row)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _place_of(url: str) -> str:
    """Scheme, host and port: what may be said of an address."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "an address that is none"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _retry_after_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        wait_s = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait_s = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - time.time()
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S) if math.isfinite(wait_s) else None
