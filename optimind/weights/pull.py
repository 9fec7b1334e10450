"""Brings a model's file here: its licence accepted and recorded, its checksum right, and never two pulls at once."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from filelock import FileLock, Timeout

from optimind.errors import EngineError, UsageError
from optimind.weights.checksums import sha256_of
from optimind.weights.description import Archive
from optimind.weights.download import OnProgress, Patience, Wanted, fetch
from optimind.weights.store import ELSEWHERE, Model, ModelStore, write_whole, writing

__all__ = ["NotFetched", "Pulled", "other_ways", "pull", "refuse_without_licence"]

_BLOCK = 1 << 20
_CAME = ("fetched_at", "from", "taken_at", "found_at")
"""How a file came, in its record: fetched, taken from a disk, or found where it belongs."""


class NotFetched(EngineError):
    """The server, or the way to it, gave no right file."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model whose file is here now; ``state``: whether it was before."""

    model: Model
    state: Literal["pulled", "already_here"]


def refuse_without_licence(store: ModelStore, model: Model, *, accepted: bool) -> None:
    """Raise :class:`UsageError` where a licence that forbids commercial use has not been ``accepted``.

    A model that is here was accepted before, or brought by somebody who knew.
    """
    licence = model.description.licence
    if accepted or not licence.non_commercial or store.state(model) == "ready":
        return
    raise UsageError(
        f"the licence of {model.name} forbids commercial use: {licence.name} {licence.url} {licence.note}".rstrip(),
        mend="read it, and if your use is allowed, run the same command again with --accept-licence",
    )


def pull(
    store: ModelStore,
    model: Model,
    *,
    accept_licence: bool,
    on_progress: OnProgress,
    source: Path | None = None,
    patience: Patience | None = None,
) -> Pulled:
    """Fetch the file of ``model``, or take it from ``source`` (a file or pack that was fetched elsewhere).

    A right one that is here is kept; what an interrupted call fetched is used by the next. Raises :class:`UsageError`
    where the licence is not accepted or ``source`` is another file, :class:`NotFetched` where the server gave none,
    :class:`EngineError` with a mend for all else.
    """
    refuse_without_licence(store, model, accepted=accept_licence)
    if model.description.path is not None:
        store.installed(model.name, model.description.kind)
        return Pulled(model, "already_here")
    with writing(store.folder), _alone(store.folder, model.name):
        if store.state(model, trust_known=False) == "ready":
            if accept_licence or not _record_file(model).exists():
                _record(model, _came_before(model) or {"found_at": _now()}, accepted=accept_licence)
            return Pulled(model, "already_here")
        if source is not None:
            _take(model, source)
            came = {"from": str(source), "taken_at": _now()}
        else:
            _fetch(model, on_progress, patience)
            came = {"fetched_at": _now()}
        _record(model, came, accepted=accept_licence)
    store.installed(model.name, model.description.kind)
    return Pulled(model, "pulled")


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    try:
        with FileLock(folder / f".{name}.lock", timeout=0):
            yield
    except Timeout as error:
        raise EngineError(f"another process is fetching {name} now", mend="wait until it is done") from error


def _fetch(model: Model, on_progress: OnProgress, patience: Patience | None) -> None:
    pack = model.description.archive
    wanted = _wanted(model)
    part = model.file.with_name(f"{model.name}.part")
    _require_space(model, part)
    try:
        fetch(wanted, part, on_progress, patience)
    except EngineError as error:
        raise NotFetched(f"{model.name}: {error.message}", mend=other_ways([model])) from error
    if pack is not None:
        _unpack(part, pack, model, wanted.url)
        part.unlink()
    else:
        _settle(part, model.file)


def _require_space(model: Model, part: Path) -> None:
    told = model.description
    needed = told.size_bytes
    if told.archive is not None:
        needed += told.archive.size_bytes
    needed -= part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(model.file.parent).free
    if free < needed:
        raise EngineError(
            f"{model.name} needs {needed / 1e6:.0f} MB in {model.file.parent}, and {free / 1e6:.0f} MB are free",
            mend=ELSEWHERE,
        )


def _wanted(model: Model) -> Wanted:
    """What is fetched for a model: its file, or the pack around it."""
    told = model.description
    return Wanted(told.url or "", (told.archive or told).size_bytes, (told.archive or told).sha256)


def other_ways(models: Sequence[Model]) -> str:
    """Say what to do where ``models``, one or more with an address, could not be fetched."""
    steps = []
    for model in models:
        wanted = _wanted(model)
        accept = " --accept-licence" if model.description.licence.non_commercial else ""
        steps.append(
            f"fetch {wanted.url} on another machine (its SHA-256 is {wanted.sha256}), bring it over, "
            f"and run: python main.py models pull {model.name}{accept} --from FILE"
        )
    return (
        "try again later with the same command, which goes on where it stopped; without a network here, "
        f"{'; '.join(steps)}; kept in {models[0].file.parent}"
    )


def _take(model: Model, source: Path) -> None:
    """Copy ``source``, the network or the pack with it, after its checksum."""
    told = model.description
    try:
        size_bytes = source.stat().st_size
        fits = [part for part in (told, told.archive) if part is not None and part.size_bytes == size_bytes]
        found = sha256_of(source) if fits else ""
    except OSError as error:
        raise UsageError(f"--from {source} cannot be read: {error.strerror or error}", mend="check its path") from error
    fitting = next((part for part in fits if part.sha256 == found), None)
    if fitting is None:
        is_found = f"{size_bytes} bytes" + (f", SHA-256 {found}" if found else "")
        wanted = told.archive or told
        raise UsageError(
            f"--from {source} is another file than {told.url}: it has {is_found}",
            mend=f"wanted are {wanted.size_bytes} bytes, SHA-256 {wanted.sha256}: fetch it again",
        )
    if isinstance(fitting, Archive):
        _unpack(source, fitting, model, str(source))
        return
    with _reading(source):
        file = source.open("rb")
    with file:
        _copy(file, model, str(source))


def _unpack(pack: Path, archive: Archive, model: Model, origin: str) -> None:
    """Take one member out of a zip pack, never more of it than was described; ``origin`` is where the pack is from."""
    try:
        with ExitStack() as stack:
            with _reading(pack):
                zipped = stack.enter_context(zipfile.ZipFile(pack))
                member = stack.enter_context(zipped.open(archive.member))
            _copy(member, model, f"{archive.member} in {origin}")
    except KeyError as error:
        raise EngineError(
            f"{origin} has no {archive.member} in it", mend="correct archive.member in the description"
        ) from error
    except (EngineError, OSError):
        raise
    except Exception as error:  # each way of packing has errors of its own
        raise EngineError(f"{origin} cannot be unpacked: {error}", mend="describe a plain zip file") from error


@contextmanager
def _reading(origin: Path | str) -> Iterator[None]:
    """What cannot be read is no fault of the folder that is written."""
    try:
        yield
    except OSError as error:
        words = f"{origin} cannot be read: {error.strerror or error}"
        raise EngineError(words, mend="look whether that disk is whole and still there; else fetch it again") from error


def _copy(file: IO[bytes], model: Model, origin: str) -> None:
    told = model.description
    beside = model.file.with_name(f".{model.file.name}.new")
    try:
        with beside.open("wb") as copy:
            left = told.size_bytes + 1  # one more shows that it is too large
            while left and (block := _read(file, min(_BLOCK, left), origin)):
                copy.write(block)
                left -= len(block)
        if left != 1 or sha256_of(beside) != told.sha256:
            raise EngineError(
                f"{origin} is not the network that is described as {model.name}",
                mend=f"its description wants {told.size_bytes} bytes, SHA-256 {told.sha256}",
            )
        _settle(beside, model.file)
    finally:
        beside.unlink(missing_ok=True)


def _read(file: IO[bytes], size_bytes: int, origin: str) -> bytes:
    with _reading(origin):
        return file.read(size_bytes)


def _settle(ready: Path, target: Path) -> None:
    """Give a whole file its name, so that a power cut leaves it whole or not there."""
    with ready.open("rb") as file:
        os.fsync(file.fileno())
    ready.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _record_file(model: Model) -> Path:
    return model.file.with_name(f"{model.name}.licence.json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _came_before(model: Model) -> dict[str, Any]:
    """What the record that is there says of how the file came; nothing where there is none, or it is damaged."""
    try:
        entry = json.loads(_record_file(model).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: entry[key] for key in _CAME if key in entry} if isinstance(entry, dict) else {}


def _record(model: Model, came: dict[str, Any], *, accepted: bool) -> None:
    """Write beside the file what it is, how it came, and when its licence was accepted where that has to be done."""
    told = model.description
    entry = {
        "name": told.name,
        "url": told.url,
        "sha256": told.sha256,
        "size_bytes": told.size_bytes,
        "licence": told.licence.model_dump(),
        **came,
        **({"accepted_at": _now()} if accepted and told.licence.non_commercial else {}),
    }
    write_whole(_record_file(model), json.dumps(entry, indent=1).encode())
