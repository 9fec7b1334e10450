"""dlib's networks in two forms, 32-bit floats and int8, and which of them is the faster one here.

That depends on the processor: with instructions for products of bytes (VNNI, Arm's dot product) int8 takes less than
half of the time, without them it may take longer. Both are timed once, and the answer is kept beside the graphs. One
process measures while others wait for its answer. Where it cannot be kept each process measures for itself; should two
come to different answers, that does no harm: embeddings of the two forms are 0.03 apart, and a gallery of one with a
camera of the other tells people apart as well as either alone (docs/performance.md).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import filelock
import numpy as np
from numpy.typing import NDArray

from optimind.plugin_api import open_session
from optimind.vision._dlib_files import DETECTOR, EMBEDDER, WeightsFile
from optimind.vision._dlib_graphs import CONVERTER, detector_graph, resnet_graph
from optimind.vision._dlib_weights import Network, read_network
from optimind.vision._exact import ExactPieces, without_padding
from optimind.vision._graph_cache import cache_folder, kept_or_made
from optimind.vision._quantise import QUANTISER, Ranges, quantised

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "MMOD",
    "RANGES",
    "RESNET",
    "Convertible",
    "Form",
    "Precision",
    "form_for",
    "graph_for",
    "open_exact_pieces",
    "open_form",
]

Form = Literal["fp32", "int8"]
Precision = Literal["auto", "fp32", "int8"]

RANGES: Final = Path(__file__).parent / "ranges"
"""Made by ``python -m benchmarks.make_ranges``; the entry ``made`` of each file says from what."""

_ROUNDS: Final = 7
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Convertible:
    """One of dlib's networks.

    ``sample`` is the shape of a picture to time it with. ``worth`` is the part of the time of the exact form below
    which int8 is a gain.
    """

    name: str
    weights: WeightsFile
    convert: Callable[[Network], bytes]
    sample: tuple[int, int, int, int]
    worth: float


RESNET: Final = Convertible("resnet", EMBEDDER, resnet_graph, (1, 150, 150, 3), 0.9)
MMOD: Final = Convertible("mmod", DETECTOR, detector_graph, (1, 320, 320, 3), 0.65)
"""Its int8 form is helped by the exact one (:mod:`optimind.vision._exact`), which takes time as well."""


def graph_for(network: Convertible, form: Form) -> bytes:
    """Return the graph of ``network`` in ``form``, made at the first time.

    Raises :class:`EngineError` where the weights are missing or damaged, or do not fit the ranges that ship.
    """
    if form == "fp32":
        return kept_or_made(
            network.weights.sha256,
            f"{network.name}-fp32-{CONVERTER}",
            lambda: network.convert(read_network(network.weights.read(), network.weights.name)),
        )
    ranges = _ranges_file(network).read_bytes()
    return kept_or_made(
        network.weights.sha256,
        f"{network.name}-int8-{_version(ranges)}",
        lambda: quantised(graph_for(network, "fp32"), _read_ranges(ranges)),
    )


def form_for(network: Convertible, precision: Precision) -> Form:
    """Return the form that ``precision`` asks for; for ``auto`` the faster one here, measured once (in under a second).

    Raises :class:`EngineError` as :func:`graph_for` does.
    """
    if precision != "auto":
        return precision
    answer = _remembered(network, "form", lambda: _measured(network).encode())
    return "int8" if answer == b"int8" else "fp32"


def open_form(network: Convertible, form: Form, *, threads: int | None) -> onnxruntime.InferenceSession:
    """Load ``network`` in ``form``; ``threads`` as :func:`~optimind.weights.sessions.thread_count` has it."""
    exact_sums = form == "int8" and _remembered(network, "sums", lambda: _sums_here(network)) == b"overflow"
    return open_session(graph_for(network, form), threads=threads, exact_sums=exact_sums)


def open_exact_pieces(*, threads: int | None) -> ExactPieces:
    """Load what helps the detector's int8 form."""
    inner = kept_or_made(
        MMOD.weights.sha256, f"{MMOD.name}-inner-{CONVERTER}", lambda: without_padding(graph_for(MMOD, "fp32"))
    )
    return ExactPieces(open_form(MMOD, "fp32", threads=threads), open_session(inner, threads=threads))


def _measured(network: Convertible) -> Form:
    """Time both forms, in turns, so that what else the machine does hits both."""
    picture = _picture(network)
    sessions = {form: open_form(network, form, threads=1) for form in ("fp32", "int8")}
    spent_s: dict[str, list[float]] = {form: [] for form in sessions}
    for _ in range(_ROUNDS):
        for form, session in sessions.items():
            began = time.perf_counter()
            _run(session, picture)
            spent_s[form].append(time.perf_counter() - began)
    gains = statistics.median(spent_s["int8"]) < network.worth * statistics.median(spent_s["fp32"])
    return "int8" if gains else "fp32"


def _sums_here(network: Convertible) -> bytes:
    """Whether the processor's int8 sums overflow.

    Those of x86-64 without VNNI add pairs of products in 16 bits, which is not enough for all. ONNX Runtime has a
    slower way that is always right; where both ways give the same, the fast one is right as well.
    """
    graph, picture = graph_for(network, "int8"), _picture(network)
    results = [_run(open_session(graph, threads=1, exact_sums=exact), picture) for exact in (False, True)]
    return b"right" if np.array_equal(*results) else b"overflow"


def _run(session: onnxruntime.InferenceSession, picture: NDArray[np.uint8]) -> Any:
    return session.run(None, {session.get_inputs()[0].name: picture})[0]


def _picture(network: Convertible) -> NDArray[np.uint8]:
    """Noise: with pixels of all values side by side, sums become as large as they get."""
    return np.random.default_rng(0).integers(0, 256, network.sample, dtype=np.uint8)


def _remembered(network: Convertible, question: str, measure: Callable[[], bytes]) -> bytes:
    """Return what was measured here before; else let one process measure at a time."""
    here = [_processor(), importlib.metadata.version("onnxruntime"), _version(_ranges_file(network).read_bytes())]
    key = hashlib.sha256("\n".join(here).encode()).hexdigest()[:16]
    with _one_process_at_a_time(question):
        return kept_or_made(network.weights.sha256, f"{network.name}-{question}-{key}", measure)


@contextmanager
def _one_process_at_a_time(question: str) -> Iterator[None]:
    lock = None
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(folder / f"{question}.lock", timeout=_PATIENCE_S)
        lock.acquire()
    except (OSError, RuntimeError):  # a folder that cannot be written, no home folder, or another takes far too long
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _processor() -> str:
    """The processor, as the system names it, and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0].splitlines()
    except OSError:
        lines = []
    telling = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return "\n".join([platform.machine(), platform.processor(), *(line for line in lines if line.startswith(telling))])


def _version(ranges: bytes) -> str:
    """What a conversion to int8 depends on, besides the weights."""
    return f"{CONVERTER}-{QUANTISER}-{hashlib.sha256(ranges).hexdigest()[:8]}"


def _ranges_file(network: Convertible) -> Path:
    return RANGES / f"{network.name}.json"


def _read_ranges(content: bytes) -> Ranges:
    return {name: (float(low), float(high)) for name, (low, high) in json.loads(content)["ranges"].items()}
