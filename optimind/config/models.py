"""What config.yaml may say: every setting with its type, range and default."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from optimind.config.cameras import Cameras
from optimind.config.database_url import anchored_url, sqlite_url
from optimind.config.document import Document, KeyPath, key_text
from optimind.config.privacy import PrivacySettings
from optimind.config.section import Section, no_truth, written_or_kept
from optimind.config.showing import shown
from optimind.config.timetable import TimetableSettings
from optimind.config.validation import SettingsModel, validate
from optimind.config.visitors import VisitorSettings
from optimind.config.wording import closest, did_you_mean
from optimind.config.zones import known_zones, local_zone, zone_of
from optimind.errors import ConfigError
from optimind.plugin_api import Secret

__all__ = [
    "Config",
    "DetectionSettings",
    "DisplaySettings",
    "MetricsSettings",
    "RecognitionSettings",
    "StorageSettings",
]

_SECTIONS = {"plugin": "plugins", "sink": "sinks"}


class DetectionSettings(Section):
    """When and how small a face is looked for. ``min_face_px``: pixels of the camera's picture.

    ``cpu_cores`` is how many processor cores the whole run may use on average; None: one a camera, as far as there are
    cores.
    """

    min_face_px: Annotated[int, BeforeValidator(no_truth)] = Field(default=45, ge=20, le=1000)
    scan_interval_s: Annotated[float, BeforeValidator(no_truth)] = Field(default=1.0, ge=0.05, le=60)
    quiet_interval_s: Annotated[float, BeforeValidator(no_truth)] = Field(default=15.0, ge=0.05, le=600)
    follow_interval_s: Annotated[float, BeforeValidator(no_truth)] = Field(default=1.0, ge=0.05, le=2)
    cpu_cores: Annotated[float | None, BeforeValidator(no_truth)] = Field(default=None, ge=0.1, le=256)


class RecognitionSettings(Section):
    """When a face counts as a person.

    ``fpir`` is how many of all strangers may get a name, 0-1; ``max_distance`` takes its place for an engine without a
    calibration. That one and ``min_margin`` are plain distances, the other two count pictures.
    """

    fpir: Annotated[float, BeforeValidator(no_truth)] = Field(default=0.01, ge=0.0001, le=0.5)
    max_distance: Annotated[float, BeforeValidator(no_truth)] = Field(default=0.48, ge=0.1, le=1.0)
    min_margin: Annotated[float, BeforeValidator(no_truth)] = Field(default=0.03, ge=0, le=1)
    min_samples: Annotated[int, BeforeValidator(no_truth)] = Field(default=3, ge=1, le=50)
    max_samples: Annotated[int, BeforeValidator(no_truth)] = Field(default=8, ge=1, le=500)

    @field_validator("max_samples")
    @classmethod
    def _enough_samples(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("min_samples", value)
        if value < least:
            raise PydanticCustomError(
                "samples",
                "max_samples ({value}) is less than min_samples; make max_samples at least {least}",
                {"value": value, "least": least},
            )
        return value


def _switch(value: Any) -> Any:
    # YAML reads a bare off as false and a bare on as true.
    if isinstance(value, bool):
        return "on" if value else "off"
    return _lower(value)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class MetricsSettings(Section):
    """Where the figures of a run can be fetched while it goes on. ``port`` None: nowhere.

    Only from this machine unless ``address`` says otherwise, since they tell how many people are seen.
    """

    port: Annotated[int | None, BeforeValidator(no_truth)] = Field(default=None, ge=1, le=65535)
    address: str = Field(default="127.0.0.1", min_length=1)


class DisplaySettings(Section):
    """What is seen on the machine itself. ``window``: ``auto`` opens it where there is a screen."""

    window: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = "auto"


def _database(value: Any, info: ValidationInfo) -> Any:
    """A database URL; SQLite's file is taken from the settings file's folder."""
    if not isinstance(value, str):
        raise PydanticCustomError("text_wanted", 'is no database URL; write one such as "sqlite:///data/optimind.db"')
    scheme, found, rest = value.partition("://")
    if not found or not scheme or (not rest and not scheme.startswith("sqlite")):
        raise PydanticCustomError("database_url", 'is no database URL; write one such as "sqlite:///data/optimind.db"')
    base = (info.context or {}).get("base")
    return value if base is None else anchored_url(value, Path(base))


DatabaseUrl = Annotated[
    Annotated[str, BeforeValidator(_database), Tag("written")] | Annotated[Secret, Tag("kept")],
    Discriminator(written_or_kept),
]


class StorageSettings(Section):
    """Where the ledger is. ``url`` None: SQLite in the data folder."""

    url: DatabaseUrl | None = None


def _extension(value: Any) -> Any:
    """The raw settings of a plugin or sink; its own class checks all of them but ``enabled``."""
    value = {} if value is None else value
    if isinstance(value, dict) and "enabled" in value:
        try:
            enabled = TypeAdapter(bool).validate_python(value["enabled"])
        except ValidationError:
            raise PydanticCustomError("enabled", "is not true or false", {"within": ("enabled",)}) from None
        return {**value, "enabled": enabled}
    return value


ExtensionSection = Annotated[dict[str, Any], BeforeValidator(_extension)]


def _pad(value: Any) -> Any:
    """Which check of presentation attacks, and its raw settings; its own class checks all of them but ``check``."""
    value = {} if value is None else value
    if isinstance(value, dict) and "check" in value:
        check = _switch("off" if value["check"] is None else value["check"])
        if not isinstance(check, str) or not check:
            raise PydanticCustomError("check", 'is no name; write "off", or that of a check', {"within": ("check",)})
        return {**value, "check": check}
    return value


def _timezone(value: str) -> str:
    if value != "local" and zone_of(value) is None:
        near = closest(value, known_zones())
        mend = f'did you mean "{near}"?' if near else 'write a name such as "Europe/Berlin", or "local"'
        raise PydanticCustomError("timezone", "there is no such time zone; {mend}", {"mend": mend})
    return value


def _not_sheets(sinks: dict[str, Any]) -> dict[str, Any]:
    if "sheets" in sinks:
        raise PydanticCustomError(
            "sheets_as_sink",
            'Google Sheets has its own key; move these lines under "sheets" at the left margin',
            {"within": ("sheets",)},
        )
    return sinks


_SHEETS_WITHOUT_A_SPREADSHEET = (
    "enabled",
    "credentials",
    "endpoint",
    "drive_endpoint",
    "worksheet",
    "registers",
    "protect",
    "timeout_s",
    "quota",
)
"""What may stand under ``sheets`` while no spreadsheet is named, and nothing is sent."""


class Config(Section):
    """All settings. Relative paths were taken from the settings file's folder when it was loaded."""

    cameras: Cameras = Field(default_factory=list)
    engine: str = Field(default="auto", min_length=1)
    engines: dict[str, ExtensionSection] = Field(default_factory=dict)
    gallery: Path = Path("encodings/gallery.pickle")
    data: Path = Path("data")
    timezone: Annotated[str, AfterValidator(_timezone)] = "local"
    detection: DetectionSettings = DetectionSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    pad: Annotated[dict[str, Any], BeforeValidator(_pad)] = Field(default_factory=dict)
    timetable: TimetableSettings | None = None
    visitors: VisitorSettings = VisitorSettings()
    privacy: PrivacySettings = PrivacySettings()
    display: DisplaySettings = DisplaySettings()
    metrics: MetricsSettings = MetricsSettings()
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    storage: StorageSettings = StorageSettings()
    plugins: dict[str, ExtensionSection] = Field(default_factory=lambda: {"attendance": {"enabled": True}})
    sinks: Annotated[dict[str, ExtensionSection], AfterValidator(_not_sheets)] = Field(default_factory=dict)
    sheets: ExtensionSection | None = None
    plugins_folder: Path | None = None

    _document: Document = PrivateAttr(
        default_factory=lambda: Document(label="the built-in settings", folder=Path.cwd())
    )

    def model_post_init(self, context: Any) -> None:
        """Keep the document that the settings come from, for the lines in later messages."""
        document = (context or {}).get("document")
        if document is not None:
            self._document = document

    @property
    def label(self) -> str:
        """What messages call the settings: the file's path as it was given."""
        return self._document.label

    @property
    def folder(self) -> Path:
        """The absolute folder that relative paths are taken from."""
        return self._document.folder

    def zone(self) -> ZoneInfo:
        """The time zone of the register; ``local`` is the machine's."""
        return (None if self.timezone == "local" else zone_of(self.timezone)) or local_zone()

    def database_url(self) -> str:
        """The ledger's URL for SQLAlchemy. It may hold a password: never log it unmasked.

        Raises :class:`ConfigError` where it is kept elsewhere and cannot be read.
        """
        url = self.storage.url
        if isinstance(url, Secret):
            return anchored_url(url.reveal().strip(), self.folder)
        return url if url is not None else sqlite_url(self.data / "optimind.db")

    @property
    def pad_check(self) -> str | None:
        """The name of the check of presentation attacks; None where it is off."""
        check = self.pad.get("check", "off")
        return None if check == "off" else str(check)

    def enabled(self, kind: str, name: str) -> bool:
        """Whether the plugin or sink (``kind``) called ``name`` is to run.

        One that is named in its section is, unless ``enabled: false`` stands there; ``sheets``, which has a section of
        its own, is where a spreadsheet is named in it.
        """
        section = self._raw(self.path_of(kind, name))
        if section is None or not section.get("enabled", True):
            return False
        if (kind, name) != ("sink", "sheets"):
            return True
        # A key that is none of these may be a misspelt "spreadsheet": the sink's own settings class will say so.
        return any(value is not None for key, value in section.items() if key not in _SHEETS_WITHOUT_A_SPREADSHEET)

    def enabled_names(self, kind: str) -> list[str]:
        """The names of all plugins or sinks (``kind``) that are to run, sorted."""
        names = [*getattr(self, _SECTIONS[kind]), *(["sheets"] if kind == "sink" else [])]
        return sorted(name for name in names if self.enabled(kind, name))

    def section(self, settings_type: type[SettingsModel], path: tuple[str, ...]) -> SettingsModel:
        """Check an extension's settings with its own class.

        ``path`` is ``("sheets",)``, ``("pad",)`` or a name in ``plugins``, ``sinks`` or ``engines``. The key
        ``enabled``, in ``pad`` ``check``, is taken out first; an absent section gives the class's defaults. Raises
        :class:`ConfigError` with file, line and key of every fault.
        """
        raw = self._raw(path) or {}
        ours = "check" if path == ("pad",) else "enabled"
        values = {key: value for key, value in raw.items() if key != ours}
        return validate(settings_type, values, self._document, path)

    def located(self, path: KeyPath) -> str:
        """Say where ``path`` stands, for messages: ``config.yaml:12``."""
        return self._document.located(path)

    def unknown_name_error(
        self, kind: str, name: str, known: Iterable[str], path: tuple[str, ...] | None = None
    ) -> ConfigError:
        """The error for a ``plugin``, ``sink``, ``engine`` or ``check`` (``kind``) that none of ``known`` is called by.

        ``path`` is where it is named, where that is not the usual place.
        """
        path = path or self.path_of(kind, name)
        hint = did_you_mean(name, known, otherwise=f"the {kind}s here are")
        return ConfigError(
            f'{self.located(path)}: {key_text(path)}: there is no {kind} called "{name}"; {hint}',
            mend=f"correct the name in {self.label}; `optimind plugins list` shows every name",
        )

    def shown(self) -> str:
        """The settings in effect as YAML, without passwords: secrets by their place, URLs masked."""
        text: str = yaml.safe_dump(shown(self), sort_keys=False, allow_unicode=True, width=120)
        return text

    def _raw(self, path: tuple[str, ...]) -> dict[str, Any] | None:
        value: Any = getattr(self, path[0])
        for key in path[1:]:
            value = value.get(key) if value is not None else None
        return value if isinstance(value, dict) else None

    @staticmethod
    def path_of(kind: str, name: str) -> tuple[str, ...]:
        """Where the settings of the ``plugin`` or ``sink`` (``kind``) called ``name`` stand in the file."""
        if kind in _SECTIONS and (kind, name) != ("sink", "sheets"):
            return (_SECTIONS[kind], name)
        return ("sheets",) if kind == "sink" else (kind,)
