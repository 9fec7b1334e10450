"""Calibrations as files: one that ships for an embedder, or one that the user made (``optimind models calibrate``)."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from optimind.core.calibration import Calibration
from optimind.errors import EngineError
from optimind.weights.store import make_folder, models_folder, write_whole

__all__ = ["SHIPPED", "calibration_of", "own_calibration", "read_calibration", "write_calibration"]

SHIPPED = Path(__file__).parent / "calibrations"
"""Made by ``python -m benchmarks.make_calibration``; the entry ``made`` of each says from what."""
_OF_WEIGHTS = re.compile(r".*(-[0-9a-f]{8})")
_FILE_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,199}")


def calibration_of(embedder_id: str) -> Calibration | None:
    """The user's own calibration of an embedder, else the one that ships, else None.

    Raises :class:`EngineError` where there is one and it cannot be read, or as :func:`own_calibration` does.
    """
    own = own_calibration(embedder_id)
    shipped = [path for path in _shipped(embedder_id) if path.is_file()]
    for path in ([own] if own.is_file() else []) + shipped:
        try:
            return read_calibration(path)
        except Exception as error:  # each way in which a zip can be damaged has errors of its own
            mend = "install OptiMind again"
            if path == own and shipped:
                mend = f"delete {path}: the one that comes with OptiMind is used then"
            elif path == own:
                mend = f"delete {path}, then: optimind models calibrate --faces DIR"
            raise EngineError(f"the calibration {path} cannot be used: {_reason(path, error)}", mend=mend) from error
    return None


def own_calibration(embedder_id: str) -> Path:
    """Where the user's own calibration of an embedder lies, or would.

    Raises :class:`EngineError` where the id cannot be a file's name: it has other characters than A-Z, a-z, 0-9 and
    ``._+-``, starts with a dot, or is longer than 200.
    """
    if not _FILE_NAME.fullmatch(embedder_id):
        raise EngineError(
            f"the embedder id {embedder_id!r} cannot be the name of a calibration",
            mend="the engine must give 1 to 200 of the characters A-Z, a-z, 0-9, . _ + and -, no dot at the beginning",
        )
    return models_folder() / f"{embedder_id}.calibration.npz"


def read_calibration(path: Path) -> Calibration:
    """Read a file of :func:`write_calibration`.

    Raises ``OSError`` where it cannot be read, ``KeyError`` where it holds something else, and what numpy and zipfile
    raise, ``ValueError`` as a rule, where it is no such file or is damaged.
    """
    # Numpy leaves a file open that it cannot make out.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return Calibration(
            cohort=np.asarray(file["centres"], dtype=np.float64),
            rates=np.asarray(file["rates"], dtype=np.float64),
            limits=np.asarray(file["limits"], dtype=np.float64),
            strangers_apart=float(file["strangers_apart"]),
            own_spread=float(file["own_spread"]),
            fused_gain=float(file["fused_gain"]),
        )


def write_calibration(path: Path, calibration: Calibration, made: dict[str, Any]) -> None:
    """Write it whole or not at all; ``made`` says how it was made. Raises as :func:`write_whole` does."""
    content = io.BytesIO()
    np.savez_compressed(
        content,
        centres=calibration.cohort.astype(np.float32),
        rates=calibration.rates,
        limits=calibration.limits,
        strangers_apart=np.array(calibration.strangers_apart),
        own_spread=np.array(calibration.own_spread),
        fused_gain=np.array(calibration.fused_gain),
        made=np.array(json.dumps(made)),
    )
    make_folder(path.parent)
    write_whole(path, content.getvalue())


def _reason(path: Path, error: Exception) -> str:
    """In our words: numpy's speak of pickles, and advise to allow them."""
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    if isinstance(error, KeyError):
        return "it is no calibration"
    try:
        with path.open("rb") as file:
            is_archive = file.read(2) == b"PK"  # what every zip, and so every npz, begins with
    except OSError:
        is_archive = False
    return "it is damaged" if is_archive else "it is no calibration"


def _shipped(embedder_id: str) -> list[Path]:
    """A model that is described by data is called as its description likes; what its id ends with is what counts."""
    weights = _OF_WEIGHTS.fullmatch(embedder_id)
    return sorted(SHIPPED.glob(f"*{weights[1]}.npz")) if weights else [SHIPPED / f"{embedder_id}.npz"]
