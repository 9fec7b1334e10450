"""The engine ``dlib`` and dlib itself, side by side: embedding, detection, landmarks, and whether they agree.

The sides take turns, several rounds; what is told are medians. dlib's wheel has no BLAS and one thread. A dlib that was
compiled with OpenBLAS takes part where OPTIMIND_BENCH_DLIB names a Python that has it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.engine_sides import Ours, Peer, Task, read, resized, timed
from benchmarks.peak import fp32_peak, int8_peak, multiplications
from optimind.core.geometry import iou
from optimind.core.types import Image
from optimind.vision._forms import MMOD, RESNET, Form, form_for, graph_for
from optimind.vision._mmod import canvas_of
from optimind.vision.face_recognition_engine import FaceRecognitionEmbedder

__all__ = ["measure"]

COMPILED = "OPTIMIND_BENCH_DLIB"
FORMS: tuple[Form, ...] = ("fp32", "int8")
CHIPS = 16
FACES = 30
TASKS = (
    Task("ResNet embedding, one chip", "embed", "chip", 5, 2),
    Task(f"ResNet embedding, {CHIPS} chips at once, each", "embed", "chips", 2, 1, CHIPS),
    Task("MMOD detector, 640x360", "detect", "small", 3, 1),
    Task("MMOD detector, 910x1137", "detect", "large", 2, 1),
    Task(f"five landmarks of {FACES} faces", "landmarks", "crowd", 5, 3),
)
ROUNDS, SLOW_ROUNDS = 7, 3
"""dlib, which needs seconds, takes part in the first few rounds."""
SAME_BOX = 0.8
CLOSE = 0.1
WHEEL, WITH_BLAS = "dlib wheel", "dlib with OpenBLAS"

Figures = dict[str, dict[str, float]]


def measure(shared: Path) -> tuple[dict[str, Any], str]:
    """Compare on pictures of ``shared/data``; returns the figures and their tables."""
    before = cv2.getNumThreads()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(cv2.setNumThreads, before)
        cv2.setNumThreads(1)
        peers = {WHEEL: Peer(sys.executable, Path(folder), 1)}
        compiled = os.environ.get(COMPILED)
        if compiled:
            peers[WITH_BLAS] = Peer(compiled, Path(folder), None)
        for peer in peers.values():
            stack.callback(peer.close)
        pictures = pictures_of(shared)
        for name, picture in pictures.items():
            peers[WHEEL].give(name, picture)
        ours = {side_name(form, threads): Ours(form, threads) for threads in (1, 2) for form in FORMS}
        milliseconds = times({**peers, **ours}, pictures)
        agreement = agree(shared, peers[WHEEL], {form: ours[side_name(form, 1)] for form in FORMS}, pictures)
    effort = efforts(pictures, milliseconds)
    chosen = {network.name: form_for(network, "auto") for network in (RESNET, MMOD)}
    result = {"milliseconds": milliseconds, "agreement": agreement, "effort": effort, "auto": chosen}
    tables = [speed_table(milliseconds), agreement_table(agreement), effort_table(effort)]
    tables.append(f"`precision: auto` takes {chosen['resnet']} for embedding and {chosen['mmod']} for detection here.")
    if not compiled:
        tables.append(f"No dlib with OpenBLAS was measured: {COMPILED} names no Python that has one.")
    return result, "\n\n".join(tables)


def side_name(form: str, threads: int) -> str:
    """How a side of ours is called."""
    return f"{form}, {threads} thread{'s' if threads > 1 else ''}"


def times(sides: dict[str, Ours | Peer], pictures: dict[str, Image]) -> Figures:
    """Milliseconds a unit, by task and side: the median over the rounds, in which the sides take turns."""
    found: Figures = {}
    for task in TASKS:
        spent_s: dict[str, list[float]] = {name: [] for name in sides}
        for side in sides.values():
            if isinstance(side, Ours):
                timed(side.work(task, pictures))  # loads what is loaded at the first call
        for part in range(ROUNDS):
            for name, side in sides.items():
                if isinstance(side, Ours) or part < SLOW_ROUNDS:
                    spent_s[name] += side.seconds(task, pictures)
        found[task.title] = {name: 1000 * statistics.median(s) / task.units for name, s in spent_s.items()}
    return found


def pictures_of(shared: Path) -> dict[str, Any]:
    """What the tasks work on: chips, a photograph in two sizes, and one of thirty faces with their boxes."""
    data, exact = shared / "data", Ours("fp32", 1)
    group = read(data / "photos" / "bald_guys.jpg")
    portraits, chips, boxes = [], [], []
    for path in sorted((data / "faces").glob("*/*_0001.jpg"))[::40]:
        image = read(path)
        face = exact.main_face(image)
        if len(face):
            portraits.append(image)
            chips.append(exact.embedder.chips(image, face)[0])
            boxes.append(face.xyxy[0])
    columns = 6
    corners = [250 * np.array([number % columns, number // columns] * 2) for number in range(FACES)]
    rows = [np.hstack(portraits[start : start + columns]) for start in range(0, FACES, columns)]
    return {
        "chip": chips[0],
        "chips": np.array(chips[:CHIPS]),
        "small": resized(group, 640, 360),
        "large": resized(group, 910, 1137),
        "crowd": np.vstack(rows),
        "boxes": np.array([box + corner for box, corner in zip(boxes, corners, strict=False)]).astype(np.int64),
    }


def agree(shared: Path, peer: Peer, ours: dict[Form, Ours], pictures: dict[str, Image]) -> Figures:
    """How close each form comes to dlib: in the same chips, in boxes, and from a photograph to its embedding."""
    faces = [read(path) for path in sorted((shared / "data" / "faces").glob("*/*_0001.jpg"))[::30]]
    groups = [read(path) for path in sorted((shared / "data" / "photos").glob("*.jpg"))]
    shrunk = [resized(image, *(side * 400 // max(image.shape) for side in image.shape[1::-1])) for image in groups]
    looked_at = [*faces, *shrunk]
    boxes = [peer.boxes(image) for image in looked_at]
    embeddings = np.array(peer.ask("embed", "chips")["result"])
    library = FaceRecognitionEmbedder.create()
    found: Figures = {}
    for form, side in ours.items():
        answers = [side.detector.detect(image)[0] for image in looked_at]
        overlaps = [iou(theirs, answer) for theirs, answer in zip(boxes, answers, strict=True)]
        apart = side.work(TASKS[1], pictures)() - embeddings
        distances = []
        for image in faces:
            face = side.main_face(image)
            distances.append(np.linalg.norm(library.embed(image, face) - side.embedder.embed(image, face), axis=1))
        all_distances = np.concatenate(distances)
        found[form] = {
            "largest_difference": float(np.abs(apart).max()),
            "chip_distance": float(np.linalg.norm(apart, axis=1).mean()),
            "boxes": sum(map(len, boxes)),
            "found": sum(int((overlap.max(axis=1, initial=0) >= SAME_BOX).sum()) for overlap in overlaps),
            "others": sum(int((overlap.max(axis=0, initial=0) < SAME_BOX).sum()) for overlap in overlaps),
            "photographs": len(all_distances),
            "close": float(np.mean(all_distances <= CLOSE)),
            "photograph_distance": float(np.median(all_distances)),
        }
    return found


def efforts(pictures: dict[str, Image], milliseconds: Figures) -> Figures:
    """Multiplications of each network, and how many a second are done of those that a core could do."""
    peaks = {"fp32": fp32_peak(), "int8": int8_peak()}
    works = {
        TASKS[1].title: multiplications(graph_for(RESNET, "fp32"), (1, *pictures["chip"].shape)),
        TASKS[3].title: multiplications(graph_for(MMOD, "fp32"), canvas_of(pictures["large"]).shape),
    }
    found: Figures = {"one core": {form: peak / 1e9 for form, peak in peaks.items()}}
    for title, work in works.items():
        spent_s = {form: milliseconds[title][side_name(form, 1)] / 1000 for form in FORMS}
        found[title] = {"multiplications": work / 1e9} | {form: work / s / peaks[form] for form, s in spent_s.items()}
    return found


def speed_table(milliseconds: Figures) -> str:
    """Milliseconds of every side, and how many times faster than the wheel ours are with one thread."""
    sides = list(next(iter(milliseconds.values())))
    gains = [side_name(form, 1) for form in FORMS]
    heads = [*sides, *(f"wheel / {name}" for name in gains)]
    lines = [f"| milliseconds | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for title, row in milliseconds.items():
        ratios = [f"{row[WHEEL] / row[name]:.0f}x" for name in gains]
        lines.append(f"| {title} | {' | '.join([*(f'{row[side]:.3g}' for side in sides), *ratios])} |")
    return "\n".join(lines)


def agreement_table(agreement: Figures) -> str:
    """How close the forms come to dlib's wheel."""
    rows = {
        "the same chip: largest difference of any number": "{largest_difference:.1e}",
        "the same chip: mean Euclidean distance": "{chip_distance:.2g}",
        f"boxes found (overlap {SAME_BOX})": "{found:.0f} of {boxes:.0f}",
        "other boxes": "{others:.0f}",
        "photograph to embedding: median distance": "{photograph_distance:.2g}",
        f"photograph to embedding: within {CLOSE}": "{close:.1%} of {photographs:.0f}",
    }
    lines = [f"| agreement with dlib | {' | '.join(agreement)} |", "|---" * (len(agreement) + 1) + "|"]
    for title, text in rows.items():
        lines.append(f"| {title} | {' | '.join(text.format(**figures) for figures in agreement.values())} |")
    return "\n".join(lines)


def effort_table(effort: Figures) -> str:
    """What part of a core's peak is reached."""
    peak, *networks = effort
    lines = ["| one thread | 10^9 multiplications | fp32: part of the peak | int8 |", "|---|---|---|---|"]
    for title in networks:
        row = effort[title]
        lines.append(f"| {title} | {row['multiplications']:.2f} | {row['fp32']:.0%} | {row['int8']:.0%} |")
    core = effort[peak]
    lines.append(f"| the peak: matrix product, 10^9 a second | | {core['fp32']:.0f} | {core['int8']:.0f} |")
    return "\n".join(lines)
