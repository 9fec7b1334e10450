"""What config.yaml may say of consent, of how long things are kept, and of encryption."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from optimind.config.section import Section, no_truth
from optimind.errors import ConfigError
from optimind.plugin_api import Secret
from optimind.sealing import PLAIN, Sealer, SealingKey

__all__ = ["PrivacySettings"]

_LONGEST_DAYS = 36500


class PrivacySettings(Section):
    """Consent, retention and encryption.

    ``keep_records_days`` and ``keep_sightings_days`` 0: for ever; ``keep_shots_days`` 0: not at all. ``key`` None:
    nothing is encrypted.
    """

    require_consent: bool = False
    keep_records_days: Annotated[int, BeforeValidator(no_truth)] = Field(default=0, ge=0, le=_LONGEST_DAYS)
    keep_sightings_days: Annotated[int, BeforeValidator(no_truth)] = Field(default=0, ge=0, le=_LONGEST_DAYS)
    keep_shots_days: Annotated[int, BeforeValidator(no_truth)] = Field(default=14, ge=0, le=_LONGEST_DAYS)
    key: Secret | None = None

    def sealing_key(self) -> SealingKey | None:
        """The key that is set. Raises :class:`ConfigError` where it cannot be read or is none."""
        if self.key is None:
            return None
        try:
            return SealingKey.from_text(self.key.reveal(), self.key.describe())
        except ConfigError as error:
            raise ConfigError(f"privacy.key: {error.message}", mend=error.mend) from None

    def sealer(self) -> Sealer:
        """What encrypts and decrypts with that key; without one everything stays plain. Raises as above."""
        key = self.sealing_key()
        return PLAIN if key is None else Sealer(key)
