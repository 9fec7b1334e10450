"""Measure the ranges that the int8 forms of dlib's networks need, and write them where they ship.

    python -m benchmarks.make_ranges ../shared/data

A range is the lowest and the highest number that a value took. Half A of the people go in, so that half B can be
measured on, and the photographs with several people for the detector. Ranges that leave rare extremes out were tried:
docs/performance.md has what each costs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from rich.progress import track

from benchmarks.split import in_half_b
from optimind.core.types import Image
from optimind.vision import _mmod
from optimind.vision._forms import MMOD, RANGES, RESNET, Convertible, graph_for
from optimind.vision._quantise import quantised_values
from optimind.vision.dlib_engine import DlibDetector, DlibEmbedder, DlibSettings
from optimind.weights.sessions import open_session

EVERY = 10
"""One photograph in so many goes in."""
LONGER_SIDE_PX = 800


def main() -> int:
    """Measure and write; returns the exit code."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    data = Path(sys.argv[1])
    faces = [f for f in sorted((data / "faces").glob("*/*.jpg")) if not in_half_b(f.parent.name)][::EVERY]
    photographs = sorted(p for p in (data / "photos").iterdir() if p.suffix in {".jpg", ".png"})
    groups = [resized(read(path)) for path in photographs]
    made = {"data": "LFW deep-funneled, half A by checksum of the name", "photographs": len(faces)}
    write(RESNET, chips(faces), made)
    canvases = (_mmod.canvas_of(image) for image in [*(read(path) for path in faces[::4]), *groups])
    made = {"data": f"{made['data']}; photographs of groups", "photographs": len(faces[::4]) + len(groups)}
    write(MMOD, canvases, made)
    return 0


def read(path: Path) -> Image:
    """The picture in a file."""
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


def resized(image: Image) -> Image:
    """The picture with a longer side of 800 px."""
    scale = LONGER_SIDE_PX / max(image.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=way), dtype=np.uint8)


def chips(faces: list[Path]) -> Iterator[Image]:
    """The surest face of each photograph as the embedder sees it, also mirrored."""
    settings = DlibSettings(precision="fp32")
    detector, embedder = DlibDetector.create(45, settings), DlibEmbedder.create(settings)
    for path in track(faces, "chips"):
        image = read(path)
        found = embedder.chips(image, detector.detect(image)[:1])
        if len(found):
            yield np.concatenate([found, found[:, :, ::-1]])


def write(network: Convertible, pictures: Iterator[Image], made: dict[str, Any]) -> None:
    """Run the exact form on the pictures, each (n, height, width, 3), and write the range of every value."""
    graph = graph_for(network, "fp32")
    names = quantised_values(graph)
    session = open_session(with_results(graph, names), threads=1)
    lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for picture in pictures:
        values = session.run(names, {session.get_inputs()[0].name: np.ascontiguousarray(picture)})
        lowest = np.minimum(lowest, [value.min() for value in values])
        highest = np.maximum(highest, [value.max() for value in values])
    ranges = {
        name: [round(float(low), 4), round(float(high), 4)]
        for name, low, high in zip(names, lowest, highest, strict=True)
    }
    path = RANGES / f"{network.name}.json"
    path.write_text(json.dumps({"made": {**made, "weights": network.weights.name}, "ranges": ranges}, indent=1) + "\n")
    print(f"{path.name}: {len(ranges)} ranges")


def with_results(graph: bytes, names: list[str]) -> bytes:
    """The graph with the values called ``names`` among its results."""
    model = onnx.load_from_string(graph)
    known = {output.name for output in model.graph.output}
    for name in names:
        if name not in known:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return bytes(model.SerializeToString())


if __name__ == "__main__":
    sys.exit(main())
