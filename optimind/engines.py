"""Which engine is used: the one that is named, the best one that is here, or the one that made the gallery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optimind.config import Config
from optimind.discovery import Catalogue, discover
from optimind.errors import EngineError, GalleryMismatch, OptiMindError
from optimind.gallery import GalleryFile, check_embedder
from optimind.plugin_api import Detector, Embedder, EmbedderInfo

__all__ = ["EngineFactory", "engine_for_enrolment", "engine_for_gallery"]

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

    def _types(self) -> tuple[type[Detector], type[Embedder]]:
        catalogue = discover(self.plugins_folder)
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
    for name in _both(discover(config.plugins_folder)):
        factory = _factory(config, name, min_face_px)
        try:
            factory.describe()
        except EngineError as error:
            faults.append(f"{name}: {error.message}")
        else:
            return factory
    raise EngineError("no engine can be used: " + "; ".join(faults), mend="run `optimind check`, which names the mend")


def engine_for_gallery(config: Config, gallery: GalleryFile) -> EngineFactory:
    """The engine whose embedder made ``gallery``. Raises :class:`GalleryMismatch` with the command that mends it."""
    least = config.detection.min_face_px
    if config.engine != "auto":
        factory = _factory(config, config.engine, least)
        check_embedder(gallery, factory.describe()[1].embedder_id)
        return factory
    faults = []
    for name in _both(discover(config.plugins_folder)):
        factory = _factory(config, name, least)
        try:
            found = factory.describe()[1].embedder_id
        except OptiMindError as error:
            faults.append(f"{name}: {error.message}")
        else:
            if found == gallery.embedder:
                return factory
            faults.append(f"{name} is {found}")
    raise GalleryMismatch(
        f"{gallery.path}: it was made by the embedder {gallery.embedder!r}, which is not here ({'; '.join(faults)})",
        mend=f"encode the photographs again: python encode_faces.py --output {gallery.path}",
    )


def _both(catalogue: Catalogue) -> Iterator[str]:
    """The names of what is both detector and embedder, the preferred ones first."""
    names = set(catalogue.names("detector")) & set(catalogue.names("embedder"))
    yield from sorted(names, key=lambda name: (name not in _PREFERRED, name))


def _factory(config: Config, name: str, min_face_px: int) -> EngineFactory:
    catalogue = discover(config.plugins_folder)
    known = {*catalogue.names("detector"), *catalogue.names("embedder")}
    for section in config.engines:
        if section not in known:
            raise config.unknown_name_error("engine", section, sorted(known), ("engines", section))
    detector, _, embedder = name.partition("+")
    settings: dict[str, dict[str, Any]] = {}
    for kind, part in (("detector", detector), ("embedder", embedder or detector)):
        checked = config.section(catalogue.get(kind, part).settings_type, ("engines", part))
        settings[part] = {**settings.get(part, {}), **checked.model_dump()}
    return EngineFactory(name, min_face_px, config.plugins_folder, settings)
