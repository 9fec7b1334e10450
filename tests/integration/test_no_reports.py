"""Nothing leaves the machine: a package that reports its use by itself is told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data


def left_behind(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if "onnxruntime" in path.name or path.name == "Microsoft")


@pytest.mark.parametrize("command", ["check", "encode"])
def test_onnx_runtime_keeps_no_number_of_this_machine(command: str, repository: Path, tmp_path: Path) -> None:
    portrait = np.asarray(skimage.data.astronaut()[:, :, ::-1])  # type: ignore[no-untyped-call]  # ships no types
    (tmp_path / "set" / "eileen").mkdir(parents=True)
    assert cv2.imwrite(str(tmp_path / "set" / "eileen" / "1.png"), portrait)
    options = {"check": [], "encode": ["--dataset", "set", "--output", "g.pickle", "--workers", "1"]}[command]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, str(repository / "main.py"), command, *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 3), done.stderr
    assert (tmp_path / "cache" / "optimind").is_dir()
    assert left_behind(tmp_path / "cache") == []
    loaded = "from optimind.weights.sessions import _runtime; _runtime()"
    subprocess.run([sys.executable, "-c", loaded], env=environment, check=True, timeout=60)
    assert left_behind(tmp_path / "cache") == []
