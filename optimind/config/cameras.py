"""What config.yaml may say of a camera: where it is, and what its picture shows where."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from optimind.config.section import Section, written_or_kept
from optimind.config.timetable import room_of
from optimind.core.timetable import CameraRole
from optimind.core.zones import Line, Zone, ZoneKind, Zones, polygon_fault
from optimind.plugin_api import Secret

__all__ = ["CameraSettings", "Cameras", "LineSettings", "ZoneSettings"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_ZONE_NAME = 64


def _camera_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise PydanticCustomError(
            "camera_id", "is no camera id; use letters, digits, - _ and . only, a letter or digit first, at most 64"
        )
    return value


def _source(value: Any, info: ValidationInfo) -> Any:
    """A device number or text; the path of a recording beside the settings file is made absolute."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError(
            "text_wanted", "is no camera; write a device number (0 is the first), a path or a URL, in quotes"
        )
    if value == "" or (isinstance(value, int) and value < 0):
        raise PydanticCustomError("no_source", "is no camera; the first device is 0, others are a path or a URL")
    base = (info.context or {}).get("base")
    if isinstance(value, str) and base is not None and "://" not in value:
        beside = Path(base) / value
        try:
            return str(beside) if not value.isdecimal() and beside.exists() else value
        except (OSError, ValueError):  # longer than a path can be
            return value
    return value


CameraSource = Annotated[
    Annotated[int | str, BeforeValidator(_source), Tag("written")] | Annotated[Secret, Tag("kept")],
    Discriminator(written_or_kept),
]


def _point(value: Any) -> Any:
    """A point is said to be wrong as a whole: which of its numbers has no key to name."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise PydanticCustomError("point", "is no point; write two fractions of the picture, such as [0.25, 0.5]")
    if any(isinstance(part, bool) or not isinstance(part, int | float) for part in value):
        raise PydanticCustomError("point", "is no point; both parts are numbers, such as [0.25, 0.5]")
    if not all(0 <= part <= 1 for part in value):
        raise PydanticCustomError(
            "point",
            "lies outside the picture; write fractions of its width and height, from 0 to 1 and never pixels",
        )
    return value


PointSetting = Annotated[tuple[float, float], BeforeValidator(_point)]


def _zone_name(value: str) -> str:
    name = value.strip()
    if not name or len(name) > _LONGEST_ZONE_NAME or not name.isprintable():
        raise PydanticCustomError(
            "zone_name", "is no name of a zone; write 1 to {most} letters, such as A1", {"most": _LONGEST_ZONE_NAME}
        )
    return name


def _polygon(value: list[tuple[float, float]]) -> list[tuple[float, float]]:
    fault = polygon_fault(tuple(value))
    if fault:
        raise PydanticCustomError("polygon", "{fault}", {"fault": fault})
    return value


class ZoneSettings(Section):
    """A part of the picture: a seat, a door, or one in which faces are ignored."""

    name: Annotated[str, AfterValidator(_zone_name)]
    kind: ZoneKind
    polygon: Annotated[list[PointSetting], AfterValidator(_polygon)]

    def zone(self) -> Zone:
        """The zone that the settings describe."""
        return Zone(self.name, self.kind, tuple(self.polygon))


def _other_end(value: tuple[float, float], info: ValidationInfo) -> tuple[float, float]:
    if value == info.data.get("start"):
        raise PydanticCustomError("line", "is where the line starts; a line needs two different ends")
    return value


class LineSettings(Section):
    """The line between in and out."""

    start: PointSetting = Field(alias="from")
    end: Annotated[PointSetting, AfterValidator(_other_end)] = Field(alias="to")
    inside: Literal["left", "right"]

    def line(self) -> Line:
        """The line that the settings describe."""
        return Line(self.start, self.end, self.inside)


def _distinct_zones(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return _distinct(value, handler, "zone", "name")


class CameraSettings(Section):
    """A camera. ``source`` is a device number, a path, a URL, or where such a text is kept.

    ``room`` is the room of the timetable in which it hangs, None: one that is called like the camera. ``role`` says
    what being seen by it means; for a door its ``line`` says who comes and who goes.
    """

    id: Annotated[str, AfterValidator(_camera_id)]
    source: CameraSource
    zones: Annotated[list[ZoneSettings], WrapValidator(_distinct_zones)] = Field(default_factory=list)
    line: LineSettings | None = None
    room: Annotated[str, AfterValidator(room_of)] | None = None
    role: CameraRole = CameraRole.CLASS

    @field_validator("role")
    @classmethod
    def _with_line(cls, value: CameraRole, info: ValidationInfo) -> CameraRole:
        if value is CameraRole.DOOR and info.data.get("line") is None:
            raise PydanticCustomError("door", "needs a line to cross; add the key line to this camera")
        return value

    def spec(self) -> str:
        """The source as text, for :meth:`Source.accepts`. It may hold a password: never log it unmasked.

        Raises :class:`ConfigError` where it is kept elsewhere and cannot be read.
        """
        return self.source.reveal().strip() if isinstance(self.source, Secret) else str(self.source)

    def places(self) -> Zones:
        """The camera's zones, in the order of the settings."""
        return Zones(tuple(zone.zone() for zone in self.zones))

    def in_out_line(self) -> Line | None:
        """The line between in and out; None where there is none."""
        return None if self.line is None else self.line.line()


def _distinct_cameras(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return _distinct(value, handler, "camera", "id")


Cameras = Annotated[list[CameraSettings], WrapValidator(_distinct_cameras)]
"""All cameras, no two with the same id."""


def _distinct(value: Any, handler: ValidatorFunctionWrapHandler, what: str, key: str) -> Any:
    """Refuse an item whose ``key`` another one has, together with whatever else is wrong with the items."""
    faults = list(_twice(value if isinstance(value, list) else (), what, key))
    try:
        items = handler(value)
    except ValidationError as error:
        faults += [_raised_again(detail) for detail in error.errors(include_url=False)]
    if faults:
        raise ValidationError.from_exception_data(f"{what}s", faults)
    return items


def _twice(items: Iterable[Any], what: str, key: str) -> Iterable[InitErrorDetails]:
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        name = item.get(key) if isinstance(item, dict) else getattr(item, key, None)
        first = seen.setdefault(str(name).strip(), index)
        if name is not None and first != index:
            message = f"{what} {first + 1} is called this too; rename one of them"
            fault = PydanticCustomError(f"{what}_twice", "{message}", {"message": message})
            yield InitErrorDetails(type=fault, loc=(index, key), input=name)


def _raised_again(detail: ErrorDetails) -> InitErrorDetails:
    context = detail.get("ctx", {})
    fault = PydanticCustomError(detail["type"], "{_message}", {**context, "_message": detail["msg"]})
    return InitErrorDetails(type=fault, loc=detail["loc"], input=detail["input"])
