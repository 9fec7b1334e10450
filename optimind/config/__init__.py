"""The settings: typed, checked when they are read, every fault named with file, line, key and its mend."""

from optimind.config.cameras import CameraSettings, LineSettings, ZoneSettings
from optimind.config.database_url import sqlite_url
from optimind.config.loader import DEFAULT_FILE, load_config
from optimind.config.models import (
    Config,
    DetectionSettings,
    DisplaySettings,
    MetricsSettings,
    RecognitionSettings,
    StorageSettings,
)
from optimind.config.privacy import PrivacySettings

__all__ = [
    "DEFAULT_FILE",
    "CameraSettings",
    "Config",
    "DetectionSettings",
    "DisplaySettings",
    "LineSettings",
    "MetricsSettings",
    "PrivacySettings",
    "RecognitionSettings",
    "StorageSettings",
    "ZoneSettings",
    "load_config",
    "sqlite_url",
]
