"""Encryption at rest: what holds faces is sealed with a key that is kept elsewhere, and opened with it.

AES-256-GCM with a random nonce for each sealed piece. The pieces of each purpose have a key of their own, derived with
HKDF-SHA256 from the one that the user keeps, so that a piece of one store cannot be put into another. A sealed piece is

    15 bytes ``OPTIMIND-SEALED``, 1 byte version, 8 bytes fingerprint of the key, 12 bytes nonce, ciphertext and tag

and whatever does not begin so is plain: stores may hold both, as while they are converted.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from optimind.errors import ConfigError, SealRefused

__all__ = ["PLAIN", "Purpose", "Sealer", "SealingKey", "is_sealed", "new_key_text"]

MAGIC: Final = b"OPTIMIND-SEALED"
VERSION: Final = 1
_KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = len(MAGIC) + 1 + _FINGERPRINT_BYTES
_PREFIX: Final = "optimind-key-1:"
_NEW = "make a key with: optimind privacy key new --output FILE"


class Purpose(StrEnum):
    """What a sealed piece is; each has a key of its own."""

    GALLERY = "gallery"
    JOURNAL = "journal"
    VISITOR = "visitor"
    SHOT = "shot"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key of 32 random bytes. ``fingerprint`` names it, 16 hexadecimal digits, and tells nothing of it."""

    secret: bytes = field(repr=False)
    _derived: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _KEY_BYTES:
            raise ValueError(f"a key has {_KEY_BYTES} bytes, not {len(self.secret)}")

    @classmethod
    def from_text(cls, text: str, where: str) -> SealingKey:
        """Read what ``optimind privacy key new`` wrote; ``where`` names its place. Raises :class:`ConfigError`."""
        prefix, encoded = text.strip()[: len(_PREFIX)], text.strip()[len(_PREFIX) :]
        try:
            return cls(base64.b64decode(encoded if prefix == _PREFIX else "", validate=True))
        except (ValueError, binascii.Error):
            # Without the cause: its text may repeat the key.
            raise ConfigError(f"{where} holds no key of OptiMind", mend=_NEW) from None

    @property
    def fingerprint(self) -> str:
        """The key's name."""
        return self.derived("fingerprint", _FINGERPRINT_BYTES).hex()

    def derived(self, purpose: str, length: int = _KEY_BYTES) -> bytes:
        """The key of one purpose, by HKDF-SHA256."""
        known = self._derived.get(purpose)
        if known is None:
            # Imported where it is needed: who encrypts nothing does not wait for it.
            from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see above
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - see above

            info = b"optimind " + purpose.encode()
            known = HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(self.secret)
            self._derived[purpose] = known
        return known


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals with ``key`` (None: leaves everything plain), and opens what ``key`` or one of ``others`` sealed."""

    key: SealingKey | None = None
    others: tuple[SealingKey, ...] = ()

    def seal(self, data: bytes, purpose: Purpose) -> bytes:
        """Return ``data`` sealed, or as it is without a key."""
        if self.key is None:
            return data
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

        header = MAGIC + bytes([VERSION]) + bytes.fromhex(self.key.fingerprint)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.key.derived(purpose)).encrypt(nonce, data, header + purpose.encode())
        return header + nonce + sealed

    def open(self, data: bytes, purpose: Purpose, what: str) -> bytes:
        """Return what was sealed; plain ``data`` is returned as it is.

        ``what`` names it in messages. Raises :class:`SealRefused` where no key fits, or the piece was changed.
        """
        if not is_sealed(data):
            return data
        header, rest = data[:_HEADER_BYTES], data[_HEADER_BYTES:]
        if header[len(MAGIC)] != VERSION:
            raise SealRefused(f"{what} was encrypted by a newer OptiMind", mend="update OptiMind")
        key = self._key_for(header[len(MAGIC) + 1 :].hex(), what)
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

        nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return AESGCM(key.derived(purpose)).decrypt(nonce, sealed, header + purpose.encode())
        except (InvalidTag, ValueError):
            raise SealRefused(
                f"{what} is damaged, or was changed after it was encrypted", mend="put a backup of it in its place"
            ) from None

    def is_current(self, data: bytes) -> bool:
        """Whether ``data`` is already as :meth:`seal` would leave it: sealed with this key, or plain without one."""
        if self.key is None:
            return not is_sealed(data)
        return is_sealed(data) and fingerprint_of(data) == self.key.fingerprint

    def _key_for(self, fingerprint: str, what: str) -> SealingKey:
        keys = [*([] if self.key is None else [self.key]), *self.others]
        for key in keys:
            if key.fingerprint == fingerprint:
                return key
        if not keys:
            raise SealRefused(
                f"{what} is encrypted with the key {fingerprint}, and no key is set",
                mend="name that key in config.yaml under privacy: key: ({file: PATH} or {env: NAME})",
            )
        raise SealRefused(
            f"{what} is encrypted with the key {fingerprint}, and the key that is set is {keys[0].fingerprint}",
            mend="name the right key in config.yaml under privacy: key:; where a change of keys was cut off, run "
            "optimind privacy encrypt --new-key FILE again",
        )


PLAIN: Final = Sealer()
"""Seals nothing, and opens only what is plain."""


def is_sealed(data: bytes) -> bool:
    """Whether ``data`` begins as a sealed piece does."""
    return data[: len(MAGIC)] == MAGIC and len(data) >= _HEADER_BYTES + _NONCE_BYTES


def fingerprint_of(data: bytes) -> str:
    """The name of the key that sealed ``data``."""
    return data[len(MAGIC) + 1 : _HEADER_BYTES].hex()


def new_key_text() -> str:
    """A new random key as one line of text."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
