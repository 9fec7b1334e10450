"""Posts records as JSON to an address of your own, signed. See docs/webhook.md."""

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from optimind.plugin_api import DeliveryRefused, OptiMindError, RecordRow, Secret, Settings, Sink

if TYPE_CHECKING:
    from optimind.sinks._webhook_post import Receiver

__all__ = ["WebhookSettings", "WebhookSink"]

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e][\x20-\x7e]{0,4000}$")]


def fault_of(url: str, *, insecure: bool) -> str | None:
    """What is wrong with an address, without repeating it: it may hold a password; None where nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return 'is no address; write it like "https://school.example/attendance"'
    if parts.scheme not in ("http", "https") or not host or parts.fragment or not url.isprintable() or " " in url:
        return 'is no address; write it like "https://school.example/attendance"'
    if parts.scheme == "http" and not insecure and not _is_near(host):
        return "is not encrypted, and the names of pupils are sent there; write https://, or insecure: true"
    return None


def _is_near(host: str) -> bool:
    """Whether the host is this machine or one of this network, by its name alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_private or address.is_loopback


class WebhookSettings(Settings):
    """``sinks: webhook:``. ``url`` may be a secret; ``secret`` is the key that the requests are signed with."""

    # Before the address, which is judged by it.
    insecure: bool = False
    url: str | Secret
    secret: Secret | None = None
    headers: dict[HeaderName, HeaderValue | Secret] = Field(default_factory=dict)
    timeout_s: float = Field(default=20.0, gt=0, le=300, allow_inf_nan=False)
    batch: int = Field(default=100, ge=1, le=500)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | Secret, info: ValidationInfo) -> str | Secret:
        fault = fault_of(url, insecure=bool(info.data.get("insecure"))) if isinstance(url, str) else None
        if fault is not None:
            raise PydanticCustomError("webhook_url", "{fault}", {"fault": fault})
        return url


class WebhookSink(Sink):
    """Posts batches until each is answered with success; the receiver finds a record by its id and version."""

    name: ClassVar[str] = "webhook"
    settings_type: ClassVar[type[Settings]] = WebhookSettings

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._receiver: Receiver | None = None

    @classmethod
    def create(cls, settings: WebhookSettings) -> Self:
        """Make the sink; secrets are read when the first rows are delivered."""
        return cls(settings)

    def deliver(self, rows: Sequence[RecordRow]) -> None:
        """Post ``rows``. Raises DeliveryDelayed or DeliveryRefused; what was taken before that may come again."""
        try:
            for start in range(0, len(rows), self._settings.batch):
                self._opened().post(rows[start : start + self._settings.batch])
        except DeliveryRefused:
            # A person will act on it, perhaps by another key: begin anew.
            self.close()
            raise

    def close(self) -> None:
        """Close the connections; the next delivery opens new ones."""
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None

    def _opened(self) -> "Receiver":
        if self._receiver is None:
            # Imported here: requests takes a while to load, and most commands send nothing.
            from optimind.sinks._webhook_post import Receiver  # noqa: PLC0415 - see above

            settings = self._settings
            try:
                url = _revealed(settings.url)
                key = None if settings.secret is None else settings.secret.reveal()
                headers = {name: _revealed(value) for name, value in settings.headers.items()}
            except OptiMindError as error:
                raise DeliveryRefused(f"the webhook's secret: {error.message}", mend=error.mend) from None
            fault = fault_of(url, insecure=settings.insecure)
            if fault is not None:
                raise DeliveryRefused(f"the webhook's address {fault}", mend="correct sinks: webhook: url:")
            self._receiver = Receiver(url, key, headers, settings.timeout_s)
        return self._receiver


def _revealed(value: str | Secret) -> str:
    return value.reveal().strip() if isinstance(value, Secret) else value
