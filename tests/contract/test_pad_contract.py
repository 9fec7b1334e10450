"""Every check of presentation attacks keeps the contract: the built-in ones and the fake."""

from __future__ import annotations

from pathlib import Path

import pytest
from liveness_networks import described, write_network

from optimind.pad.onnx import OnnxCheck, OnnxSettings
from optimind.pad.passive import PassiveCheck
from optimind.plugin_api import ModelStore, PadCheck
from optimind.testing.pad import FakePadCheck, PadContract
from optimind.weights.description import ModelDescription


class TestPassiveCheck(PadContract):
    pad_type = PassiveCheck


class TestOnnxCheck(PadContract):
    pad_type = OnnxCheck

    @pytest.fixture(autouse=True)
    def _network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("OPTIMIND_MODELS", str(tmp_path / "models"))
        network = write_network(tmp_path / "tiny.onnx")
        ModelStore().add(ModelDescription.model_validate(described(network)))

    def make(self) -> PadCheck:
        return OnnxCheck.create(OnnxSettings(model="tiny"))


class TestFakePadCheck(PadContract):
    pad_type = FakePadCheck
