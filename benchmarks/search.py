"""One track against 100,000 templates: the search beside the one matrix product that it cannot do without."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from optimind.core.identification import IdentificationLimits, Identifier
from optimind.core.types import Gallery, Template
from optimind.weights.calibrations import calibration_of

PEOPLE = 100_000
ROUNDS = 25
EMBEDDER = "dlib-resnet-v1"


def measure(_shared: Path) -> tuple[dict[str, Any], str]:
    """Search made-up people; returns the figures and a table of them."""
    rng = np.random.default_rng(1)
    rows = rng.normal(0, 0.07, (PEOPLE, 128))
    gallery = Gallery("made up", tuple(Template(str(i), str(i), row[None]) for i, row in enumerate(rows)))
    limits = IdentificationLimits(fpir=0.01, max_distance=0.5, min_margin=0.03, min_samples=1)
    identifier = Identifier(gallery, limits, calibration_of(EMBEDDER))
    turned = np.ascontiguousarray(rows.T, dtype=np.float32)
    result: dict[str, Any] = {"people": PEOPLE}
    lines = ["| samples a track | one matrix product, ms | the whole search, ms | ratio |", "|---|---|---|---|"]
    for samples in (1, 3, 8):
        took: dict[str, list[float]] = {"product": [], "search": []}
        for _ in range(ROUNDS):
            person = int(rng.integers(PEOPLE))
            probe = rows[person] + rng.normal(0, 0.01, (samples, 128))
            single = probe.astype(np.float32)
            began = time.perf_counter()
            single @ turned
            took["product"].append(time.perf_counter() - began)
            began = time.perf_counter()
            match = identifier.identify(probe)
            took["search"].append(time.perf_counter() - began)
            assert match.person_id == str(person)
        product, search = (1000 * statistics.median(took[side]) for side in ("product", "search"))
        result[f"{samples} samples"] = {"product_ms": product, "search_ms": search, "ratio": search / product}
        lines.append(f"| {samples} | {product:.1f} | {search:.1f} | {search / product:.1f} |")
    return result, "\n".join(lines)
