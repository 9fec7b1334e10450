"""The settings: typed, checked when they are read, every fault named with file, line, key and its mend."""

from optimind.config.database_url import sqlite_url
from optimind.config.loader import DEFAULT_FILE, load_config
from optimind.config.models import (
    CameraSettings,
    Config,
    DetectionSettings,
    DisplaySettings,
    RecognitionSettings,
    StorageSettings,
)

__all__ = [
    "DEFAULT_FILE",
    "CameraSettings",
    "Config",
    "DetectionSettings",
    "DisplaySettings",
    "RecognitionSettings",
    "StorageSettings",
    "load_config",
    "sqlite_url",
]
