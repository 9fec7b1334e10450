"""What else was tried to make dlib's networks faster or their int8 forms closer: the figures of docs/performance.md.

    python -m benchmarks.variants ../shared

OpenVINO takes part where it is installed (pip install openvino); OptiMind does not need it.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.engine_sides import Ours, read, resized, timed
from benchmarks.make_ranges import chips, with_results
from benchmarks.split import in_half_b
from optimind.core.geometry import Boxes, iou
from optimind.core.types import Image
from optimind.vision._dlib_files import DETECTOR
from optimind.vision._dlib_weights import read_network
from optimind.vision._forms import MMOD, RESNET, Convertible, Form, graph_for, open_form
from optimind.vision._mmod import Mmod, canvas_of
from optimind.vision._quantise import quantised, quantised_values
from optimind.weights.sessions import open_session

FORMS: tuple[Form, ...] = ("fp32", "int8")
OPENVINO: tuple[tuple[Form, str], ...] = (("fp32", "f32"), ("fp32", "bf16"), ("int8", "f32"))
"""The graph, and the precision of what is not int8."""
ROUNDS = 9
SAME_BOX = 0.8
WINDOW_PX = 80
PERCENTILES = (100.0, 99.999, 99.99, 99.9)
SAMPLED = 20_000
"""So many numbers of each value and run are kept for percentiles."""


def main() -> int:
    """Measure and print; returns the exit code."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    shared = Path(sys.argv[1])
    cv2.setNumThreads(1)
    faces = sorted((shared / "data" / "faces").glob("*/*.jpg"))
    group = resized(read(shared / "data" / "photos" / "bald_guys.jpg"), 640, 360)
    pictures = {RESNET: np.concatenate(list(chips(faces[::350])))[:16], MMOD: canvas_of(group)}
    for title, table in (
        ("Ranges", ranges(faces)),
        ("int8 boxes", boxes(shared, faces)),
        ("Threads", threads(pictures)),
        ("Chips at once", batches(pictures[RESNET])),
        ("OpenVINO", openvino(pictures)),
    ):
        print(f"\n{title}\n\n" + "\n".join(table), flush=True)
    return 0


def median_ms(work: Callable[[], Any]) -> float:
    """The median of a few runs, after one that does not count."""
    work()
    return 1000 * statistics.median(timed(work) for _ in range(ROUNDS))


def session_run(session: Any, picture: Any) -> Callable[[], Any]:
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: picture})[0]


def ranges(faces: list[Path]) -> Iterable[str]:
    """How far embeddings move when rare extremes are left out of the ranges; all of half A, other photographs."""
    half_a = [path for path in faces if not in_half_b(path.parent.name)]
    graph = graph_for(RESNET, "fp32")
    names = quantised_values(graph)
    session = open_session(with_results(graph, names), threads=None)
    rng = np.random.default_rng(1)
    values: dict[str, list[Any]] = {name: [] for name in names}
    for given in chips(half_a[::20]):
        for name, value in zip(names, session.run(names, {"chips": given}), strict=True):
            kept = rng.choice(value.ravel(), min(value.size, SAMPLED), replace=False)
            values[name].append(np.concatenate([kept, [value.min(), value.max()]]))
    others = np.concatenate(list(chips(half_a[7::20])))
    exact = session_run(open_session(graph, threads=None), others)()
    yield "| ranges | mean distance | largest |\n|---|---|---|"
    for percentile in PERCENTILES:
        found = {}
        for name, parts in values.items():
            low, high = np.percentile(np.concatenate(parts), [100 - percentile, percentile])
            found[name] = (float(low), float(high))
        apart = np.linalg.norm(
            session_run(open_session(quantised(graph, found), threads=None), others)() - exact, axis=1
        )
        yield f"| {percentile} % of the numbers | {apart.mean():.3f} | {apart.max():.3f} |"


def boxes(shared: Path, faces: list[Path]) -> Iterable[str]:
    """What int8 finds by itself, with the exact form's help, and the exact form with every second level left out."""
    portraits = [read(path) for path in faces[::40] if in_half_b(path.parent.name)]
    photographs = [read(path) for path in sorted((shared / "data" / "photos").glob("*.jpg"))]
    groups = [resized(image, *(side * 800 // max(image.shape) for side in image.shape[1::-1])) for image in photographs]
    windows = read_network(DETECTOR.read(), DETECTOR.name).windows
    assert windows is not None
    exact, helped = Ours("fp32", 1).detector, Ours("int8", 1).detector
    alone = Mmod(open_form(MMOD, "int8", threads=1), windows)
    sparse = EverySecondLevel(open_form(MMOD, "fp32", threads=1), windows)
    yield "| | boxes | the same (overlap 0.8) | others |\n|---|---|---|---|"
    for title, images in (("portraits", portraits), ("groups", groups)):
        expected = [exact.detect(image)[0] for image in images]
        for side, detector in (
            ("int8 alone", alone),
            ("int8, the exact form decides", helped),
            ("fp32, every second level", sparse),
        ):
            overlaps = [iou(theirs, detector.detect(image)[0]) for theirs, image in zip(expected, images, strict=True)]
            same = sum(int((overlap.max(axis=1, initial=0) >= SAME_BOX).sum()) for overlap in overlaps)
            others = sum(int((overlap.max(axis=0, initial=0) < SAME_BOX).sum()) for overlap in overlaps)
            yield f"| {title}: {side} | {sum(map(len, expected))} | {same} | {others} |"


class EverySecondLevel(Mmod):
    """Looks at the first, the third, ... level of the pyramid only."""

    def _above(self, *given: Any) -> tuple[Boxes, NDArray[np.float64]]:
        found, confidence = super()._above(*given)
        # A box is 80 px wide at the first level, and 1.2 times as wide at each further one.
        level = np.rint(np.log((found[:, 2] - found[:, 0] + 1) / WINDOW_PX) / np.log(1.2)).astype(int)
        return found[level % 2 == 0], confidence[level % 2 == 0]


def threads(pictures: dict[Convertible, Any]) -> Iterable[str]:
    """One session with one and with two threads, and two sessions with one each at the same time."""
    yield "| milliseconds a run | 1 thread | 2 threads | 2 sessions of 1 thread, a run of either |\n|---|---|---|---|"
    for network, picture in pictures.items():
        for form in FORMS:
            one, two = (median_ms(session_run(open_form(network, form, threads=count), picture)) for count in (1, 2))
            works = [session_run(open_form(network, form, threads=1), picture) for _ in range(2)]
            both = median_ms(partial(together, works)) / len(works)
            yield f"| {network.name}, {form} | {one:.2f} | {two:.2f} | {both:.2f} |"


def together(works: list[Callable[[], Any]]) -> None:
    running = [threading.Thread(target=work) for work in works]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def batches(given: Image) -> Iterable[str]:
    """Milliseconds a chip."""
    sizes = (1, 2, 4, 8, 16)
    yield f"| milliseconds a chip | {' | '.join(map(str, sizes))} |\n" + "|---" * (len(sizes) + 1) + "|"
    for form in FORMS:
        session = open_form(RESNET, form, threads=1)
        spent = [median_ms(session_run(session, given[:size])) / size for size in sizes]
        yield f"| {form} | {' | '.join(f'{ms:.2f}' for ms in spent)} |"


def openvino(pictures: dict[Convertible, Any]) -> Iterable[str]:
    """The same graphs with OpenVINO, in the precisions that it has."""
    if importlib.util.find_spec("openvino") is None:
        yield "not installed"
        return
    ov = importlib.import_module("openvino")
    core = ov.Core()
    yield f"OpenVINO {ov.__version__.split('-')[0]}\n\n| one thread | milliseconds | from fp32 |\n|---|---|---|"
    for network, picture in pictures.items():
        reference = None
        for form, precision in OPENVINO:
            model = core.read_model(graph_for(network, form))
            model.reshape(list(picture.shape))
            settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision}
            request = core.compile_model(model, "CPU", settings).create_infer_request()
            ms = median_ms(partial(request.infer, [picture])) / len(picture)
            result = request.get_output_tensor(0).data.copy()
            reference = result if reference is None else reference
            apart = result - reference
            told = np.linalg.norm(apart, axis=1).mean() if network is RESNET else np.abs(apart).max()
            yield f"| {network.name}, {form if precision == 'f32' else precision} | {ms:.2f} | {told:.3f} |"


if __name__ == "__main__":
    sys.exit(main())
