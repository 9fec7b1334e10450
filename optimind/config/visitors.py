"""What config.yaml may say of unknown people."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from optimind.config.section import Section, no_truth

__all__ = ["VisitorSettings"]


class VisitorSettings(Section):
    """Whether people whom nobody enrolled are kept. ``keep_days`` 0: they are not, and what was kept is deleted.

    That is the default: faces are biometric data, and a stranger has agreed to nothing.
    """

    keep_days: Annotated[int, BeforeValidator(no_truth)] = Field(default=0, ge=0, le=3650)
