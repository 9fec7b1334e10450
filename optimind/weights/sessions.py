"""Opens networks with ONNX Runtime, all in the same way, and shares the cores between them."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimind.cores import available_cores
from optimind.errors import EngineError

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["open_session", "thread_count"]

_ERRORS_ONLY = 3
_INSTALL = "install what requirements.txt names (make setup)"


def thread_count(wanted: int | None) -> int:
    """How many threads a network gets: ``wanted``; else OMP_NUM_THREADS, else one for each core this process may use.

    The encoding processes are started with OMP_NUM_THREADS=1, as there is one for each core already.
    """
    if wanted is not None:
        return max(1, wanted)
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return available_cores()


def open_session(
    network: Path | str | bytes, *, threads: int | None, exact_sums: bool = False
) -> onnxruntime.InferenceSession:
    """Load ``network`` (an ONNX file, or its content) for the processor; ``threads`` as :func:`thread_count` has it.

    The threads sleep when there is nothing to do: several cameras share the cores, and a thread that waits by spinning
    takes them from the others. ``exact_sums`` is for an int8 network on a processor whose sums of products overflow: it
    is slower, and right. Raises :class:`EngineError`: ONNX Runtime is missing, or cannot read the network.
    """
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = thread_count(threads)
    options.inter_op_num_threads = 1
    # Planned memory is kept for every size of picture there was: a 1080p look peaks at 1.4 GB with it, 0.7 GB without.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.x64quantprecision", "1" if exact_sums else "0")
    options.log_severity_level = _ERRORS_ONLY
    given = network if isinstance(network, bytes) else str(network)
    try:
        return runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no other common base
        what = f"{len(network)} bytes" if isinstance(network, bytes) else str(network)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EngineError(
            f"ONNX Runtime cannot read the network ({what}): {reason}",
            mend="fetch or convert it again: the file is damaged, or needs a newer onnxruntime",
        ) from error


def _runtime() -> Any:
    # It would report its use to its makers; nothing leaves this machine. It must be said before it is loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        runtime = importlib.import_module("onnxruntime")
    except (ImportError, OSError) as error:
        raise EngineError(f"onnxruntime cannot be used: {error}", mend=_INSTALL) from error
    # What it says by itself about the machine (no graphics card found) is no message of ours.
    runtime.set_default_logger_severity(_ERRORS_ONLY)
    return runtime
