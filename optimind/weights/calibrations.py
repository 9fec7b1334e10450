"""Calibrations as files: one that ships for an embedder, or one that the user made (``optimind models calibrate``)."""

from __future__ import annotations

import io
import json
import re
import zipfile
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


def calibration_of(embedder_id: str) -> Calibration | None:
    """The user's own calibration of an embedder, else the one that ships, else None.

    Raises :class:`EngineError` where there is one and it cannot be read.
    """
    own = own_calibration(embedder_id)
    for path in (own, *_shipped(embedder_id)):
        if path.is_file():
            try:
                return read_calibration(path)
            except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
                mend = f"delete {path} and make it again with: optimind models calibrate"
                raise EngineError(
                    f"the calibration {path} cannot be read: {error}",
                    mend=mend if path == own else "install OptiMind again",
                ) from error
    return None


def own_calibration(embedder_id: str) -> Path:
    """Where the user's own calibration of an embedder lies, or would."""
    return models_folder() / f"{embedder_id}.calibration.npz"


def read_calibration(path: Path) -> Calibration:
    """Read a file of :func:`write_calibration`.

    Raises ``OSError``, ``ValueError``, ``KeyError``, ``EOFError`` or ``zipfile.BadZipFile`` where it is none.
    """
    with np.load(path, allow_pickle=False) as file:
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


def _shipped(embedder_id: str) -> list[Path]:
    """A model that is described by data is called as its description likes; the checksum in its id is what counts."""
    weights = _OF_WEIGHTS.fullmatch(embedder_id)
    return sorted(SHIPPED.glob(f"*{weights[1]}.npz")) if weights else [SHIPPED / f"{embedder_id}.npz"]
