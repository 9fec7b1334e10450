"""Finds the extensions of all six kinds: built in, announced by packages, and in the folder that the user names.

One mechanism for all: a module is imported, and each class in it that names a protocol of
:mod:`optimind.plugin_api` as a base, is defined in that module and has a ``name``, is an extension of that kind.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import logging
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from optimind.errors import PluginError
from optimind.plugin_api import Detector, Embedder, PadCheck, Plugin, Sink, Source

__all__ = ["ENGINE_KINDS", "KINDS", "Catalogue", "Extension", "discover"]

log = logging.getLogger(__name__)

KINDS: dict[str, type] = {
    "source": Source,
    "detector": Detector,
    "embedder": Embedder,
    "pad": PadCheck,
    "plugin": Plugin,
    "sink": Sink,
}
ENGINE_KINDS = ("detector", "embedder")
_REQUIRED: dict[str, tuple[str, ...]] = {
    "source": ("accepts", "create", "open", "read", "close"),
    "detector": ("create", "detect"),
    "embedder": ("describe", "create", "embed"),
    "pad": ("create", "observe", "forget"),
    "plugin": ("settings_type", "create", "handle", "close"),
    "sink": ("settings_type", "create", "deliver", "close"),
}
"""The members that a class must bring itself; what may also be set by a constructor is not among them."""
_CALLED_WITH: dict[str, dict[str, tuple[str, ...]]] = {
    "detector": {"create": ("min_face_px", "settings")},
    "embedder": {"describe": ("settings",), "create": ("settings",)},
}
"""What an engine's classes are given; those of earlier engines took less."""
_BUILT_IN = {
    "source": "optimind.sources",
    "pad": "optimind.pad",
    "plugin": "optimind.plugins",
    "sink": "optimind.sinks",
}
_BUILT_IN |= dict.fromkeys(ENGINE_KINDS, "optimind.vision")
"""Where OptiMind's own of each kind are."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One thing found. ``kind`` is "" and ``type`` None where its module could not be imported; ``error`` says why."""

    kind: str
    name: str
    origin: str
    type: type[Any] | None = None
    error: str = ""
    mend: str = ""


class Catalogue:
    """All extensions, by kind and name."""

    def __init__(self, extensions: list[Extension]) -> None:
        """Raises :class:`PluginError` where two extensions of a kind have one name."""
        self._found: dict[tuple[str, str], Extension] = {}
        self.broken: list[Extension] = []
        for extension in extensions:
            if extension.type is None:
                self.broken.append(extension)
                continue
            key = (extension.kind, extension.name)
            if key in self._found:
                raise PluginError(
                    f"two {extension.kind}s are called {extension.name!r}: "
                    f"{self._found[key].origin} and {extension.origin}",
                    mend="rename or remove one of them",
                )
            self._found[key] = extension

    def names(self, kind: str) -> list[str]:
        """The names of all extensions of ``kind`` that can be used, sorted."""
        return sorted(name for k, name in self._found if k == kind)

    def all(self) -> list[Extension]:
        """Everything found, usable or not, sorted by kind and name."""
        return sorted([*self._found.values(), *self.broken], key=lambda e: (e.kind or "~", e.name))

    def of_kind(self, kind: str) -> list[type[Any]]:
        """The classes of all usable extensions of ``kind``, sorted by name."""
        return [self.get(kind, name) for name in self.names(kind)]

    def get(self, kind: str, name: str) -> type[Any]:
        """Return the class called ``name``. Raises :class:`PluginError`: unknown, or why its module did not import."""
        found = self._found.get((kind, name))
        if found is not None and found.type is not None:
            return found.type
        for extension in self.broken:
            if extension.name == name:
                raise PluginError(
                    f"the {kind} {name!r} ({extension.origin}) cannot be used: {extension.error}",
                    mend=extension.mend or f"install what it needs or switch {name!r} off in config.yaml",
                )
        known = ", ".join(self.names(kind)) or "none"
        raise PluginError(f"there is no {kind} called {name!r}", mend=f"known {kind}s: {known}")


@functools.cache
def discover(folder: Path | None = None, kinds: tuple[str, ...] = tuple(KINDS)) -> Catalogue:
    """Find every extension; ``folder`` is the user's own, whose files run with full rights, once.

    With ``kinds`` those of other kinds are not looked for, which saves importing what they need; what a file in the
    folder is, only its import tells, so all of them are there.
    """
    packages = dict.fromkeys(_BUILT_IN[kind] for kind in kinds)
    built_in = [extension for package in packages for extension in _built_in(package)]
    announced = [extension for kind in kinds for extension in _announced(kind)]
    return Catalogue([*built_in, *announced, *(_in_folder(folder) if folder else ())])


@functools.cache
def _built_in(package_name: str) -> list[Extension]:
    package = importlib.import_module(package_name)
    names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    places = [(f"{package_name}.{name}", name) for name in names]
    return [extension for place, name in places for extension in _import(place, name, place)]


@functools.cache
def _entry_points() -> dict[str, list[EntryPoint]]:
    # Asked once for all kinds: every package that is installed is looked at.
    everything = entry_points()
    return {kind: list(everything.select(group=f"optimind.{kind}s")) for kind in KINDS}


@functools.cache
def _announced(kind: str) -> list[Extension]:
    return [_of_entry_point(kind, point) for point in _entry_points()[kind]]


def _of_entry_point(kind: str, point: EntryPoint) -> Extension:
    protocol, origin = KINDS[kind], f"entry point {point.value}"
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - another project's import may raise anything
        return Extension("", point.name, origin, error=_reason(error))
    if inspect.isclass(found) and protocol in found.__mro__:
        return _checked(kind, str(getattr(found, "name", point.name)), origin, found)
    return Extension("", point.name, origin, error=f"{point.value} is no class based on {protocol.__name__}")


@functools.cache
def _in_folder(folder: Path) -> tuple[Extension, ...]:
    return tuple(_found_in(folder))


def _found_in(folder: Path) -> Iterator[Extension]:
    if not folder.is_dir():
        raise PluginError(f"plugins_folder: {folder} is not a folder", mend="create it or remove the setting")
    for path in sorted([*folder.glob("*.py"), *folder.glob("*/__init__.py")]):
        stem = path.parent.name if path.name == "__init__.py" else path.stem
        if stem.startswith("_") or path.parent.name.startswith("_") or path == folder / "__init__.py":
            continue
        name = f"optimind_user_plugins_{stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:  # cannot be for a .py file; the type checker wants it said
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own file may raise anything
            del sys.modules[name]
            yield Extension("", stem, str(path), error=_reason(error))
            continue
        yield from _extensions_in(module, str(path))


def _import(module_name: str, name: str, origin: str) -> Iterator[Extension]:
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one that does not import must not stop the others
        yield Extension("", name, origin, error=_reason(error))
        return
    yield from _extensions_in(module, origin)


def _extensions_in(module: ModuleType, origin: str) -> Iterator[Extension]:
    for found in vars(module).values():
        if not inspect.isclass(found) or found.__module__ != module.__name__ or found.__name__.startswith("_"):
            continue
        for kind, protocol in KINDS.items():
            name = getattr(found, "name", None)
            if protocol in found.__mro__ and isinstance(name, str):
                yield _checked(kind, name, origin, found)


def _checked(kind: str, name: str, origin: str, found: type[Any]) -> Extension:
    """The extension, or why it is none: a member that its protocol asks for and that it does not bring itself."""
    own = {member for kin in found.__mro__ if kin not in (KINDS[kind], object) for member in vars(kin)}
    missing = [member for member in _REQUIRED[kind] if member not in own]
    if missing:
        return Extension("", name, origin, error=f"{found.__name__} has no {', '.join(missing)}")
    for member, arguments in _CALLED_WITH.get(kind, {}).items():
        if not _takes(getattr(found, member), len(arguments)):
            error = f"{found.__name__}.{member} does not take ({', '.join(arguments)}); see docs/plugins.md"
            return Extension("", name, origin, error=error, mend=f"write {member} as docs/plugins.md shows it")
    return Extension(kind, name, origin, found)


def _takes(method: Any, count: int) -> bool:
    """Whether ``method`` can be called with ``count`` values; one that says nothing of itself is believed."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return callable(method)
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
