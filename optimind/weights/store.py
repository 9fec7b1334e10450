"""The models that are known here, and whether their files are: in the folder of models, or where a description points.

The folder holds ``<name>.onnx`` and ``<name>.licence.json`` for each model that was fetched, and ``descriptions/`` with
the user's own. Two models never share a name.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from optimind.errors import EngineError, UsageError
from optimind.weights.checksums import Checksums
from optimind.weights.description import ModelDescription

__all__ = [
    "DEFAULT_MODELS",
    "Broken",
    "Model",
    "ModelStore",
    "State",
    "how_to_have",
    "installed_model",
    "make_folder",
    "models_folder",
    "write_whole",
    "writing",
]

DEFAULT_MODELS = ("yunet", "sface")
"""What ``models pull`` fetches when it is told no name."""
SHIPPED = Path(__file__).parent / "models.yaml"

State = Literal["ready", "not_here", "damaged"]


def models_folder() -> Path:
    """Where models are kept: $OPTIMIND_MODELS, else ``optimind/models`` in the user's folder of data."""
    told = os.environ.get("OPTIMIND_MODELS")
    if told:
        return Path(os.path.expanduser(told))  # noqa: PTH111  stays as it is without a home
    base = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/share"
    told = os.environ.get("XDG_DATA_HOME", "")
    # The specification has a relative one ignored: https://specifications.freedesktop.org/basedir-spec/latest/
    base = told if Path(told).is_absolute() and sys.platform != "darwin" else base
    return Path(os.path.expanduser(base)) / "optimind" / "models"  # noqa: PTH111  as above


@dataclass(frozen=True, slots=True)
class Model:
    """A known model: its description, where its file is or would be, and whether the user described it."""

    description: ModelDescription
    file: Path
    is_own: bool

    @property
    def name(self) -> str:
        """Its name, unique in the store."""
        return self.description.name


@dataclass(frozen=True, slots=True)
class Broken:
    """A description of the user's that cannot be used, and why."""

    file: Path
    reason: str


class ModelStore:
    """All models that are known here.

    ``folder`` is :func:`models_folder` where it is None; it need not exist. ``known`` is where checksums are
    remembered (None: the usual place).
    """

    def __init__(self, folder: Path | None = None, known: Path | None = None) -> None:
        self.folder = (folder or models_folder()).absolute()
        self._checksums = Checksums(known)
        self.broken: list[Broken] = []
        self._models = {d.name: Model(d, self.folder / f"{d.name}.onnx", is_own=False) for d in _shipped()}
        for path in sorted(self.descriptions.glob("*.yaml")):
            self._take(path)

    @property
    def descriptions(self) -> Path:
        """The folder of the user's own descriptions."""
        return self.folder / "descriptions"

    def models(self) -> list[Model]:
        """Every model: the shipped ones first, then the user's own, by name."""
        return list(self._models.values())

    def get(self, name: str) -> Model:
        """Return the model called ``name``. Raises :class:`UsageError` where there is none."""
        if name not in self._models:
            broken = next((b for b in self.broken if b.file.stem == name), None)
            if broken is not None:
                raise UsageError(
                    f"the description {broken.file} cannot be used: {broken.reason}",
                    mend="correct the file that it was made from and give it to `models add` again",
                )
            raise UsageError(
                f"there is no model called {name!r}",
                mend=f"known models: {', '.join(self._models)}; describe another one with `models add FILE.yaml`",
            )
        return self._models[name]

    def state(self, model: Model, *, trust_known: bool = True) -> State:
        """Whether the model's file is there and is the right one.

        ``trust_known``: a file whose checksum was computed once and that has not changed since is not read again.
        """
        try:
            about = model.file.stat()
            if about.st_size != model.description.size_bytes:
                return "damaged"
            found = self._checksums.sha256(model.file, trust_known=trust_known)
        except FileNotFoundError:
            return "not_here"
        except OSError:
            return "damaged"
        self._checksums.keep()
        return "ready" if found == model.description.sha256 else "damaged"

    def installed(self, name: str, kind: str) -> Model:
        """Return the model ``name``, its file checked.

        Raises :class:`EngineError` with the command that mends it: unknown, not a ``kind`` (``detector``,
        ``embedder``, ``pad``), not here, or damaged.
        """
        try:
            model = self.get(name)
        except UsageError as error:
            raise EngineError(error.message, mend=error.mend) from error
        if model.description.kind != kind:
            others = ", ".join(m.name for m in self.models() if m.description.kind == kind)
            is_kind = model.description.kind
            article = "an" if is_kind.startswith("e") else "a"
            raise EngineError(f"the model {name} is no {kind}, but {article} {is_kind}", mend=f"name {others}")
        state = self.state(model)
        if state == "ready":
            return model
        words = "is not here" if state == "not_here" else "is damaged, or another version"
        raise EngineError(f"the model {name} {words}: {model.file}", mend=how_to_have(model))

    def add(self, description: ModelDescription) -> Model:
        """Remember the user's own ``description``; one of the same name is replaced.

        A file that it names by ``path`` is checked and stays where it is. Raises :class:`UsageError` where the name is
        a shipped one or the file is not the described one, :class:`EngineError` where nothing can be written.
        """
        if _is_shipped(description.name):
            raise UsageError(
                f"{description.name!r} is the name of a model that comes with OptiMind", mend="give yours another name"
            )
        if description.path is not None:
            description = description.model_copy(update={"path": description.path.absolute()})
            self._check_own(description)
        target = self.descriptions / f"{description.name}.yaml"
        try:
            make_folder(self.folder)
            target.parent.mkdir(exist_ok=True)
            text = yaml.safe_dump(description.model_dump(mode="json", exclude_none=True), sort_keys=False)
            write_whole(target, text.encode())
        except OSError as error:
            raise EngineError(f"{target} cannot be written: {error.strerror or error}", mend=ELSEWHERE) from error
        self._models[description.name] = self._own(description)
        return self._models[description.name]

    def _check_own(self, description: ModelDescription) -> None:
        path = description.path or Path()
        try:
            size_bytes = path.stat().st_size
            found = self._checksums.sha256(path, trust_known=False)
        except OSError as error:
            words = f"the file of the model {description.name}, {path}, cannot be read: {error.strerror or error}"
            raise UsageError(words, mend="a relative path is taken from the description's folder") from error
        if (size_bytes, found) != (description.size_bytes, description.sha256):
            raise UsageError(
                f"{path} is not the file that is described as {description.name}",
                mend=f"where it is the right file, write size_bytes: {size_bytes} and sha256: {found}",
            )
        self._checksums.keep()

    def _take(self, path: Path) -> None:
        try:
            description = ModelDescription.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            self.broken.append(Broken(path, _reason(error)))
            return
        if _is_shipped(description.name):
            reason = f"{description.name!r} is the name of a model that comes with OptiMind, which stays in use"
            self.broken.append(Broken(path, reason))
            return
        if path.stem != description.name:
            # So that there are never two of one name, and `models add` replaces the one that counts.
            self.broken.append(Broken(path, f"what describes {description.name} is called {description.name}.yaml"))
            return
        self._models[description.name] = self._own(description)

    def _own(self, description: ModelDescription) -> Model:
        return Model(description, description.path or self.folder / f"{description.name}.onnx", is_own=True)


ELSEWHERE = "free that disk or its permissions, or name another folder in the environment variable OPTIMIND_MODELS"


def installed_model(name: str, kind: str) -> Model:
    """Return the model ``name`` of ``kind`` (``detector``, ``embedder``, ``pad``) from the folder of models.

    Its file is checked. Raises :class:`EngineError` with the command that mends it where it is unknown, not here, or
    damaged.
    """
    return ModelStore().installed(name, kind)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Create the folder of models, to write in it.

    An ``OSError`` there, or while it is being written, is raised as :class:`EngineError`, which says how to mend it.
    """
    try:
        make_folder(folder)
        yield
    except OSError as error:
        words = error.strerror or str(error)
        raise EngineError(f"the folder of models {folder} cannot be written: {words}", mend=ELSEWHERE) from error


def make_folder(folder: Path) -> None:
    """Create the folder of models, readable by its owner only. Raises ``OSError``."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that a power cut leaves the old one or the new one. Raises ``OSError``."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@functools.cache
def _shipped() -> tuple[ModelDescription, ...]:
    descriptions = yaml.safe_load(SHIPPED.read_text("utf-8"))
    return tuple(TypeAdapter(list[ModelDescription]).validate_python(descriptions))


def _is_shipped(name: str) -> bool:
    return any(shipped.name == name for shipped in _shipped())


def how_to_have(model: Model) -> str:
    """Say what brings the model's file here."""
    if model.description.path is not None:
        return "put the described file there, or describe the new one with `models add FILE.yaml`"
    if model.description.licence.non_commercial:
        return f"python main.py models pull {model.name} --accept-licence (read its licence before: {_licence(model)})"
    return f"python main.py models pull {model.name}"


def _licence(model: Model) -> str:
    licence = model.description.licence
    return f"{licence.name}, {licence.url}" if licence.url else licence.name


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return " ".join(str(error).split()) or type(error).__name__
