"""The package ``onnx``, which writes graphs: needed once for each network, so it is imported only then."""

from __future__ import annotations

import importlib
from typing import Any

from optimind.plugin_api import EngineError

__all__ = ["onnx_package"]


def onnx_package() -> Any:
    """Import it; raises :class:`EngineError` where it is missing or broken."""
    try:
        return importlib.import_module("onnx")
    except (ImportError, OSError) as error:
        raise EngineError(
            f"onnx, which converts the networks once, cannot be used: {error}",
            mend="install what requirements.txt names (make setup)",
        ) from error
