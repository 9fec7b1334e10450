"""Settings as plain values that may be seen: secrets by their place, URLs masked."""

from datetime import date, time
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from optimind.config.wording import is_secret_key
from optimind.plugin_api import Secret, mask_url

__all__ = ["shown"]


def shown(value: Any, key: str = "") -> Any:
    """Return ``value``, which stands under ``key``, as what YAML can write: lists, mappings, texts, numbers."""
    if isinstance(value, Secret):
        return value.model_dump()
    if isinstance(value, BaseModel):
        # Under the keys that the file knows: "from" is a word that Python keeps for itself.
        fields = type(value).model_fields.items()
        return {field.alias or name: shown(getattr(value, name), name) for name, field in fields}
    if isinstance(value, dict):
        return {name: shown(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item, key) for item in value]
    return _plain(value, key)


def _plain(value: Any, key: str) -> Any:
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, date | Path | StrEnum):
        return str(value)
    if isinstance(value, str):
        return "***" if is_secret_key(key) else mask_url(value)
    return value
