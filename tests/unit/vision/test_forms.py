"""Which form of a network is used: as the settings say, else the faster one, measured once."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimind.plugin_api import EngineError
from optimind.vision import _forms
from optimind.vision._forms import MMOD, RESNET, Convertible, Form, form_for, graph_for, open_form
from optimind.vision._quantise import quantised_values


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "optimind"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which networks were timed; int8 wins for the embedding network only."""
    calls: list[str] = []

    def answer(network: Convertible) -> Form:
        calls.append(network.name)
        return "int8" if network is RESNET else "fp32"

    monkeypatch.setattr(_forms, "_measured", answer)
    return calls


def test_a_setting_is_obeyed_without_measuring(folder: Path, measured: list[str]) -> None:
    assert form_for(RESNET, "fp32") == "fp32"
    assert form_for(MMOD, "int8") == "int8"
    assert measured == []


def test_each_network_is_measured_once(folder: Path, measured: list[str]) -> None:
    for _ in range(3):
        assert form_for(RESNET, "auto") == "int8"
        assert form_for(MMOD, "auto") == "fp32"
    assert measured == ["resnet", "mmod"]


@pytest.mark.parametrize("damage", [b"", b"int8", b"\0" * 100])
def test_an_answer_that_cannot_be_read_is_measured_again(folder: Path, measured: list[str], damage: bytes) -> None:
    form_for(RESNET, "auto")
    (kept,) = folder.glob("*-form-*")
    kept.write_bytes(damage)
    assert form_for(RESNET, "auto") == "int8"
    assert form_for(RESNET, "auto") == "int8"
    assert measured == ["resnet", "resnet"]


@pytest.mark.parametrize("changed", ["processor", "runtime", "converter"])
def test_an_answer_is_of_its_processor_runtime_and_conversion(
    folder: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    form_for(RESNET, "auto")
    if changed == "processor":
        monkeypatch.setattr(_forms, "_processor", lambda: "another one")
    elif changed == "runtime":
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    else:
        monkeypatch.setattr(_forms, "CONVERTER", 99)
    form_for(RESNET, "auto")
    assert measured == ["resnet", "resnet"]


def test_without_a_cache_each_start_measures(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("a folder cannot be made below a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert form_for(RESNET, "auto") == "int8"
    assert form_for(RESNET, "auto") == "int8"
    assert measured == ["resnet", "resnet"]


@pytest.mark.parametrize(("int8_s", "expected"), [(0.05, "int8"), (0.085, "int8"), (0.095, "fp32"), (0.2, "fp32")])
def test_the_form_that_gains_wins(monkeypatch: pytest.MonkeyPatch, int8_s: float, expected: str) -> None:
    clock = [0.0]
    monkeypatch.setattr(_forms, "open_form", lambda network, form, threads: 0.1 if form == "fp32" else int8_s)
    monkeypatch.setattr(_forms, "_run", lambda spent_s, picture: clock.__setitem__(0, clock[0] + spent_s))
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert _forms._measured(RESNET) == expected


def test_processes_that_start_together_measure_once(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import time, pathlib\n"
        "from optimind.vision import _forms\n"
        "def slowly(network):\n"
        f"    with open({str(log)!r}, 'a') as file: file.write('x')\n"
        "    time.sleep(0.5)\n"
        "    return 'int8'\n"
        "_forms._measured = slowly\n"
        "assert _forms.form_for(_forms.RESNET, 'auto') == 'int8'\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert log.read_text() == "x"


def test_measuring_for_real_takes_little_and_answers(folder: Path) -> None:
    for network in (RESNET, MMOD):
        assert form_for(network, "auto") in {"fp32", "int8"}
    assert len(list(folder.glob("*-form-*"))) == 2


@pytest.mark.parametrize(("results", "exact_sums"), [((1, 1), False), ((1, 2), True)], ids=["right", "overflow"])
def test_sums_that_overflow_are_added_the_slow_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, results: tuple[int, int], exact_sums: bool
) -> None:
    opened: list[bool] = []

    def session(graph: bytes, *, threads: int | None, exact_sums: bool) -> bool:
        opened.append(exact_sums)
        return exact_sums

    monkeypatch.setattr(_forms, "open_session", session)
    monkeypatch.setattr(_forms, "_run", lambda slow, picture: np.array(results[slow]))
    open_form(RESNET, "int8", threads=1)
    open_form(RESNET, "fp32", threads=1)
    open_form(RESNET, "int8", threads=1)
    # Both ways are tried at the first time only.
    assert opened == [False, True, exact_sums, False, exact_sums]


@pytest.mark.parametrize("network", [RESNET, MMOD], ids=["resnet", "mmod"])
def test_the_ranges_that_ship_fit_the_network(network: Convertible) -> None:
    shipped = json.loads((_forms.RANGES / f"{network.name}.json").read_text())
    assert list(shipped["ranges"]) == quantised_values(graph_for(network, "fp32"))
    assert all(low < high for low, high in shipped["ranges"].values())
    assert shipped["made"]["weights"] == network.weights.name


def test_ranges_that_do_not_fit_are_an_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mmod.json").write_text('{"ranges": {"value_3": [0, 1]}}')
    monkeypatch.setattr(_forms, "RANGES", tmp_path)
    with pytest.raises(EngineError, match="do not fit the network"):
        graph_for(MMOD, "int8")


def test_other_ranges_are_another_conversion(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before: Any = graph_for(MMOD, "int8")
    changed = json.loads((_forms.RANGES / "mmod.json").read_text())
    changed["ranges"]["value_3"] = [0.0, 9.0]
    (tmp_path / "mmod.json").write_text(json.dumps(changed))
    monkeypatch.setattr(_forms, "RANGES", tmp_path)
    assert graph_for(MMOD, "int8") != before
