"""Which engine is used: the one that is named, the best one that is here, or the one that made the gallery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import to_jsonable_python

from optimind.config import Config
from optimind.discovery import ENGINE_KINDS, Catalogue, discover
from optimind.errors import ConfigError, EngineError, GalleryMismatch, OptiMindError, PluginError
from optimind.gallery import GalleryFile, check_embedder
from optimind.plugin_api import Detector, Embedder, EmbedderInfo

__all__ = ["EngineFactory", "engine_faults", "engine_for_enrolment", "engine_for_gallery"]

_PREFERRED = ("arcface", "dlib")
"""What ``engine: auto`` tries first, the better one before; whatever else is here comes after, by name."""


@dataclass(frozen=True, slots=True)
class EngineFactory:
    """Makes a detector and an embedder; can be sent to another process.

    ``name`` is that of an extension which is both, or ``detector+embedder``. ``settings`` are those under ``engines``
    in config.yaml, by name, already checked.
    """

    name: str
    min_face_px: int
    plugins_folder: Path | None = None
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self) -> tuple[Detector, Embedder]:
        """Load both. Raises :class:`PluginError` or :class:`~optimind.errors.EngineError`."""
        detector, embedder = self._types()
        loaded = detector.create(self.min_face_px, self._settings(detector))
        return loaded, embedder.create(self._settings(embedder))

    def describe(self) -> tuple[str, EmbedderInfo]:
        """The detector's name and what the embedder is, nothing loaded yet. Raises as calling it does."""
        detector, embedder = self._types()
        return detector.name, embedder.describe(self._settings(embedder))

    def for_embedder(self, embedder_id: str) -> EngineFactory | None:
        """The same engine with settings by which it embeds as ``embedder_id``; None where it cannot.

        Its network need not be here. Raises as calling it does.
        """
        _, embedder = self._types()
        settings = embedder.settings_for(embedder_id, self._settings(embedder))
        if settings is None:
            return None
        return replace(self, settings={**self.settings, embedder.name: settings.model_dump()})

    def changes(self, other: EngineFactory) -> str:
        """What must stand in config.yaml so that ``self`` becomes ``other``, in one line of YAML."""
        new = {
            name: {key: value for key, value in section.items() if self.settings[name][key] != value}
            for name, section in other.settings.items()
        }
        changed = to_jsonable_python({name: section for name, section in new.items() if section})
        return f"engines: {yaml.safe_dump(changed, default_flow_style=True, width=1000).strip()}"

    def _types(self) -> tuple[type[Detector], type[Embedder]]:
        catalogue = discover(self.plugins_folder, ENGINE_KINDS)
        detector, _, embedder = self.name.partition("+")
        return catalogue.get("detector", detector), catalogue.get("embedder", embedder or detector)

    def _settings(self, kind: type[Detector | Embedder]) -> Any:
        return kind.settings_type.model_validate(self.settings.get(kind.name, {}))


def engine_for_enrolment(config: Config, min_face_px: int) -> EngineFactory:
    """The engine that ``config`` names; for ``auto`` the best one whose weights are here.

    Raises :class:`ConfigError` where a setting is wrong, :class:`EngineError` where no engine can be used.
    """
    if config.engine != "auto":
        return _factory(config, config.engine, min_face_px)
    faults = []
    for name in _both(discover(config.plugins_folder, ENGINE_KINDS)):
        factory = _factory(config, name, min_face_px)
        try:
            factory.describe()
        except EngineError as error:
            faults.append(f"{name}: {error.message}")
        else:
            return factory
    raise EngineError("no engine can be used: " + "; ".join(faults), mend="run `optimind check`, which names the mend")


def engine_for_gallery(config: Config, gallery: GalleryFile) -> EngineFactory:
    """The engine whose embedder made ``gallery``. Raises :class:`GalleryMismatch` with the command that mends it.

    ``engine: auto`` also takes a network that an engine knows and the settings do not name. An engine that is named is
    taken as it is set; raises :class:`EngineError` where its network is not here.
    """
    least = config.detection.min_face_px
    if config.engine != "auto":
        return _named_for_gallery(_factory(config, config.engine, least), gallery)
    faults = []
    mend = ""
    for name in _both(discover(config.plugins_folder, ENGINE_KINDS)):
        factory = _factory(config, name, least)
        wanted: EngineFactory | None = None
        try:
            wanted = factory.for_embedder(gallery.embedder)
            found = (wanted or factory).describe()[1].embedder_id
        except OptiMindError as error:
            faults.append(f"{name}: {error.message}")
            if wanted is not None:
                mend = mend or error.mend
        else:
            if wanted is not None and found == gallery.embedder:
                return wanted
            faults.append(f"{name} is {found}")
    raise GalleryMismatch(
        f"{gallery.path}: it was made by the embedder {gallery.embedder!r}, which is not here ({'; '.join(faults)})",
        mend=mend or f"encode the photographs again: python encode_faces.py --output {gallery.path}",
    )


def _named_for_gallery(factory: EngineFactory, gallery: GalleryFile) -> EngineFactory:
    wanted = factory.for_embedder(gallery.embedder)
    if wanted is None or wanted == factory:
        check_embedder(gallery, factory.describe()[1].embedder_id)
        return factory
    instead = f"write `{factory.changes(wanted)}` in config.yaml"
    try:
        wanted.describe()
    except EngineError as error:
        instead += f" ({error.message}: {error.mend})"
    try:
        used = factory.describe()[1].embedder_id
    except EngineError:  # the one that is set is not here either, which does not matter for this gallery
        used = "another one"
    check_embedder(gallery, used, instead=instead)
    return factory


def _both(catalogue: Catalogue) -> Iterator[str]:
    """The names of what is both detector and embedder, the preferred ones first."""
    names = set(catalogue.names("detector")) & set(catalogue.names("embedder"))
    yield from sorted(names, key=lambda name: (name not in _PREFERRED, name))


def engine_faults(config: Config, catalogue: Catalogue) -> Iterator[ConfigError]:
    """What is wrong with ``engine`` and with each section under ``engines``, whether or not that engine is used."""
    if config.engine != "auto":
        yield from _name_faults(config, catalogue)
    broken = {extension.name for extension in catalogue.broken}
    known = {*catalogue.names("detector"), *catalogue.names("embedder")}
    for section in config.engines:
        path = ("engines", section)
        if section not in known | broken:
            yield config.unknown_name_error("engine", section, known, path)
        kinds = [kind for kind in ("detector", "embedder") if section in catalogue.names(kind)]
        for settings_type in dict.fromkeys(catalogue.get(kind, section).settings_type for kind in kinds):
            try:
                config.section(settings_type, path)
            except ConfigError as error:
                yield error


def _name_faults(config: Config, catalogue: Catalogue) -> Iterator[ConfigError]:
    where = f"{config.located(('engine',))}: engine"
    detector, plus, embedder = config.engine.partition("+")
    if plus and not (detector and embedder):
        yield ConfigError(
            f'{where}: "{config.engine}" lacks a name on one side of the "+"',
            mend="write detector+embedder, or the one name of an engine that is both",
        )
        return
    names = {kind: catalogue.names(kind) for kind in ("detector", "embedder")}
    broken = {extension.name for extension in catalogue.broken}
    if not plus and detector not in {*names["detector"], *names["embedder"], *broken}:
        yield config.unknown_name_error("engine", detector, ["auto", *_both(catalogue)], ("engine",))
        return
    for kind, part in (("detector", detector), ("embedder", embedder or detector)):
        if part not in names[kind] and part not in broken:
            yield config.unknown_name_error(kind, part, names[kind], ("engine",))
            continue
        try:
            catalogue.get(kind, part)
        except PluginError as error:
            yield ConfigError(f"{where}: {error.message}", mend=error.mend)
            return  # what is wrong with one of its classes is mostly wrong with the other


def _factory(config: Config, name: str, min_face_px: int) -> EngineFactory:
    catalogue = discover(config.plugins_folder, ENGINE_KINDS)
    for fault in engine_faults(config, catalogue):
        raise fault
    detector, _, embedder = name.partition("+")
    settings: dict[str, dict[str, Any]] = {}
    for kind, part in (("detector", detector), ("embedder", embedder or detector)):
        checked = config.section(catalogue.get(kind, part).settings_type, ("engines", part))
        settings[part] = {**settings.get(part, {}), **checked.model_dump()}
    return EngineFactory(name, min_face_px, config.plugins_folder, settings)
