"""Why a network camera did not open: OpenCV does not say, so ask the camera itself, once, after the fact."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from io import BufferedReader
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from optimind.plugin_api import SourceError, UsageError, mask_url

_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
# The names of RTP's codecs (IANA) that FFmpeg takes apart; those with a fixed number need no name.
_CODECS = re.compile(r"AV1|DV|H26[1345]|H263-\d+|JPEG|MP2T|MP4V-ES|MPV|RAW|THEORA|VC2|VP[89]|X-QT", re.IGNORECASE)


def check_url(url: str) -> None:
    """Refuse (``UsageError``) a URL that no camera can have."""
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise UsageError(
            f"the source {mask_url(url)} is no whole URL",
            mend="write rtsp://user:password@host:554/path; special characters in the password as %40 for @, %2F for /",
        )


def knock(url: str, timeout_s: float) -> None:
    """Connect to the URL's host and port and hang up. Raises ``SourceError`` where nothing answers there in time."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    host = parts.hostname or ""
    if scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return  # only the proxy can reach it
    try:
        socket.create_connection((host, parts.port or _DEFAULT_PORTS[scheme]), timeout_s).close()
    except (OSError, ValueError) as error:
        raise _unreachable(url, error) from None


def explain_rtsp(url: str, timeout_s: float) -> SourceError:
    """Ask the RTSP server for its description of the stream; return why it cannot be shown."""
    try:
        answer = _describe(urlsplit(url), timeout_s)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _unreachable(url, error)
    return (
        _refusal(url, answer.status, answer.reason)
        or _undecodable(url, answer.description)
        or SourceError(
            f"the camera {mask_url(url)} answers, but no picture came in time",
            mend="check the stream's path and codec (H.264 and MJPEG always work), and how many viewers it allows at "
            "once",
        )
    )


def explain_http(url: str, timeout_s: float) -> SourceError:
    """Ask the HTTP server for the stream; return why it cannot be shown."""
    parts = urlsplit(url)
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    passwords.add_password(None, bare, unquote(parts.username or ""), unquote(parts.password or ""))
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=_lenient_tls()),
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
    )
    try:
        with opener.open(bare, timeout=timeout_s) as response:
            kind = response.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            return _refusal(url, error.code, str(error.reason)) or _unreachable(url, error)
    except urllib.error.URLError as error:
        return _unreachable(url, error.reason if isinstance(error.reason, OSError) else error)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _unreachable(url, error)
    if kind.startswith("video/") or kind == "multipart/x-mixed-replace":
        return SourceError(
            f"the camera {mask_url(url)} sends its pictures in a form that cannot be decoded ({kind})",
            mend="set the camera to MJPEG, or use its RTSP stream with H.264",
        )
    return SourceError(
        f"the camera {mask_url(url)} answers, but what it sends ({kind}) is no video",
        mend="this may be the address of its web page: look in its manual for the address of the MJPEG or RTSP stream",
    )


def _refusal(url: str, status: int, reason: str) -> SourceError | None:
    """Return what an error status means; None for success."""
    where = mask_url(url)
    if status in {401, 403}:
        if urlsplit(url).username is None:
            return SourceError(
                f"the camera {where} wants a user and a password ({status})",
                mend="write user:password@ before the host in the URL",
            )
        return SourceError(
            f"the camera {where} refuses this user and password ({status})",
            mend="correct them; special characters are written as %40 for @, %2F for /, %23 for #",
        )
    if status == 404:
        return SourceError(
            f"the camera {where} is there but has no stream at this path (404)",
            mend="look in its manual for the path of the stream",
        )
    if status >= 400:
        return SourceError(f"the camera {where} answers {status} {reason}", mend="restart the camera; check the URL")
    return None


def _unreachable(url: str, error: Exception) -> SourceError:
    where = mask_url(url)
    parts = urlsplit(url)
    host = parts.hostname
    if isinstance(error, socket.gaierror):
        return SourceError(f"the camera {where}: the host name {host} is not known", mend="check the name; try its IP")
    if isinstance(error, ConnectionRefusedError):
        port = parts.port or _DEFAULT_PORTS[parts.scheme.lower()]
        return SourceError(
            f"the camera {where} refused the connection: nothing listens on port {port} of {host}",
            mend="check the port, and that the camera's stream is switched on",
        )
    if isinstance(error, TimeoutError):
        return SourceError(
            f"the camera {where} timed out: {host} does not answer",
            mend="check that the camera has power and is on this network",
        )
    if isinstance(error, ssl.SSLError):
        return SourceError(f"the camera {where}: no encrypted connection ({error.reason})", mend="try it without the s")
    detail = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return SourceError(f"cannot connect to the camera {where}: {detail}", mend="check the address and the network")


# -- RTSP -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    challenges: tuple[str, ...]
    description: str


def _undecodable(url: str, description: str) -> SourceError | None:
    """Return what the stream's description (SDP) says against it; None where it says nothing of the kind."""
    media = re.findall(r"^m=(\w+) \S+ \S+ (\d+)", description, re.MULTILINE)
    formats = [number for kind, number in media if kind == "video"]
    if media and not formats:
        return SourceError(
            f"the camera {mask_url(url)} sends no pictures at this path, only {' and '.join(k for k, _ in media)}",
            mend="look in its manual for the path of the stream with pictures",
        )
    names = dict(re.findall(r"^a=rtpmap:(\d+) ([^/\s]+)", description, re.MULTILINE))
    # A number without a name is one of the old codecs, all of which FFmpeg reads.
    codecs = [names.get(number, "JPEG") for number in formats]
    if not codecs or any(_CODECS.fullmatch(codec) for codec in codecs):
        return None
    return SourceError(
        f"the camera {mask_url(url)} sends its pictures as {', '.join(codecs)}, which cannot be decoded",
        mend="set the camera's codec to H.264",
    )


def _describe(parts: SplitResult, timeout_s: float) -> _Answer:
    """DESCRIBE the stream, with the URL's credentials where the server asks for them."""
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    address = (parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])
    with socket.create_connection(address, timeout=timeout_s) as plain:
        secure = parts.scheme == "rtsps"
        connection = _lenient_tls().wrap_socket(plain, server_hostname=parts.hostname) if secure else plain
        with connection, connection.makefile("rb") as stream:
            first = _ask(connection, stream, bare, 1, "")
            if first.status != 401 or parts.username is None:
                return first
            credentials = _authorization(first.challenges, bare, unquote(parts.username), unquote(parts.password or ""))
            return _ask(connection, stream, bare, 2, credentials) if credentials else first


def _ask(connection: socket.socket, stream: BufferedReader, url: str, sequence: int, credentials: str) -> _Answer:
    lines = [f"DESCRIBE {url} RTSP/1.0", f"CSeq: {sequence}", "Accept: application/sdp"]
    if credentials:
        lines.append(f"Authorization: {credentials}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    version, _, rest = stream.readline(4096).decode("latin-1").strip().partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("RTSP/") or not code.isdigit():
        raise ConnectionError(0, "what answers there does not speak RTSP")
    headers = http.client.parse_headers(stream)
    body = stream.read(min(int(headers.get("Content-Length", 0)), 65536))
    challenges = tuple(headers.get_all("WWW-Authenticate", []))
    return _Answer(int(code), reason, challenges, body.decode("utf-8", errors="replace"))


def _authorization(challenges: tuple[str, ...], url: str, user: str, password: str) -> str:
    """Return the header that answers the strongest of ``challenges``; empty where none is known."""
    for challenge in challenges:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "digest":
            told = urllib.request.parse_keqv_list(urllib.request.parse_http_list(rest))
            realm, nonce = told.get("realm", ""), told.get("nonce", "")
            response = _md5(f"{_md5(f'{user}:{realm}:{password}')}:{nonce}:{_md5(f'DESCRIBE:{url}')}")
            return f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{url}", response="{response}"'
    if any(challenge.lower().startswith("basic") for challenge in challenges):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # what RFC 2617 prescribes


def _lenient_tls() -> ssl.SSLContext:
    """Cameras sign their own certificates, and FFmpeg, whose failure is looked into, does not check them either."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
