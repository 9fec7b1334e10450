"""What the groups of settings have in common."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict
from pydantic_core import PydanticCustomError

from optimind.plugin_api import Secret, Settings

__all__ = ["Section", "no_truth", "written_or_kept"]


class Section(Settings):
    """Base of every group of settings in config.yaml."""

    model_config = ConfigDict(validate_default=True, allow_inf_nan=False)


def no_truth(value: Any) -> Any:
    """Refuse what YAML read as true or false where a number belongs: "yes" and "on" would count as 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("number_wanted", "is yes or no; write a number here")
    return value


def written_or_kept(value: Any) -> str:
    """The branch of a union for a text that is ``written`` in the file or ``kept`` elsewhere."""
    return "kept" if isinstance(value, dict | Secret) else "written"
