"""The engines as they are measured and tested here: ``arcface`` with the test data's networks, whatever was pulled."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optimind.engines import EngineFactory
from optimind.weights.description import ModelDescription
from optimind.weights.store import ModelStore

__all__ = ["TEST_CALIBRATION", "TEST_EMBEDDER", "engines_here", "install_test_models"]

MIN_FACE_PX = 45
TEST_EMBEDDER = "mobilefacenet-for-tests"
TEST_CALIBRATION = Path(__file__).parent / f"{TEST_EMBEDDER}.npz"
"""Made by ``python -m benchmarks.make_calibration ../shared/data/faces arcface``; it does not ship."""


@contextmanager
def engines_here(
    shared: Path, names: Sequence[str], min_face_px: int = MIN_FACE_PX
) -> Iterator[dict[str, EngineFactory]]:
    """The engines called ``names``; ``arcface`` runs the networks in ``shared/models``."""
    settings = {"arcface": {"embedder": TEST_EMBEDDER}}
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("OPTIMIND_MODELS")
        os.environ["OPTIMIND_MODELS"] = folder
        try:
            install_test_models(shared, Path(folder))
            yield {name: EngineFactory(name, min_face_px, settings=settings) for name in names}
        finally:
            if before is None:
                del os.environ["OPTIMIND_MODELS"]
            else:
                os.environ["OPTIMIND_MODELS"] = before


def install_test_models(shared: Path, folder: Path) -> ModelStore:
    """Put YuNet and a small embedder with its calibration into a folder of models, the way a user would."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = ModelStore(folder)
    models = shared.resolve() / "models"
    store.get("yunet").file.symlink_to(models / "yunet.onnx")
    embedder = store.add(
        ModelDescription.model_validate(
            {
                "name": TEST_EMBEDDER,
                "kind": "embedder",
                "path": str(models / "mobilefacenet.onnx"),
                "sha256": "23cb3960914e945a6eb8c9ec61f0ef0f8e1f8e5d9a9593fdea40a900c0ab22d6",
                "size_bytes": 4114388,
                "licence": {"name": "for tests only"},
                "embedding": {
                    "input": "data",
                    "output": "fc1",
                    "dimension": 128,
                    # Where of 310 pairs and 71,700 others of 150 people as many are wrong on either side: 0.3 %.
                    "same_person_distance": 1.2,
                },
            }
        )
    )
    shutil.copyfile(TEST_CALIBRATION, folder / f"{embedder.description.model_id}.calibration.npz")
    return store
