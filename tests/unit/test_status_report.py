from __future__ import annotations

import threading
import time

import pytest

from optimind.errors import SourceError
from optimind.status.isolation import Task
from optimind.status.report import Item, Report, failed_item

REQUIRED = [Item("package", "numpy", state) for state in ("ok", "outdated", "missing", "failed", "unknown")]
OPTIONAL = [
    Item("camera", "door", state, required=False) for state in ("ok", "outdated", "missing", "failed", "unknown")
]
OK = REQUIRED[0]


@pytest.mark.parametrize(
    ("item", "ok", "code"),
    [
        *zip(REQUIRED, (True, False, False, False, True), (0, 1, 1, 1, 0), strict=True),
        *zip(OPTIONAL, (True,) * 5, (0, 3, 0, 3, 0), strict=True),
    ],
    ids=lambda value: f"{value.state}-{value.required}" if isinstance(value, Item) else None,
)
def test_only_a_required_part_makes_it_not_ok(item: Item, ok: bool, code: int) -> None:
    report = Report((OK, item))
    assert (report.ok, report.exit_code) == (ok, code)
    assert (item in report.attention) == (code != 0)


def test_a_wrong_settings_file_goes_before_everything_else() -> None:
    assert Report((REQUIRED[2],), config_wrong=True).exit_code == 2


def test_the_json_has_the_contract_keys_and_no_other() -> None:
    item = Item("model", "a.dat", "failed", "1 MB", "SHA-256 x", "install it again", required=False)
    assert Report((item,)).as_dict() == {
        "ok": True,
        "items": [
            {
                "group": "model",
                "name": "a.dat",
                "state": "failed",
                "found": "1 MB",
                "wanted": "SHA-256 x",
                "mend": "install it again",
            }
        ],
    }


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ([], "All is well."),
        (
            [Item("gallery", "gallery.pickle", "missing", mend="python encode_faces.py", required=False)],
            "All is well. Next: python encode_faces.py",
        ),
        ([REQUIRED[2]], "1 thing needs attention: package numpy."),
        ([OPTIONAL[3], REQUIRED[2]], "2 things need attention: package numpy, camera door."),
        ([Item("cvzone", "cvzone", "missing")], "1 thing needs attention: cvzone."),
        ([Item("package", str(n), "missing") for n in range(4)], "4 things need attention: 4 packages."),
    ],
)
def test_the_sentence(items: list[Item], sentence: str) -> None:
    assert Report((OK, *items)).sentence() == sentence


@pytest.mark.parametrize(
    ("error", "found", "mend"),
    [
        (SourceError("no picture", mend="plug it in"), "no picture", "plug it in"),
        (SourceError("no picture"), "no picture", "the usual"),
        (SourceError("rtsp://admin:secret@10.0.0.7/x is silent"), "rtsp://***@10.0.0.7/x is silent", "the usual"),
        (SourceError("my://u:x@h/d?a=1&password=geheim is shut"), "my://***@h/d?a=1&password=*** is shut", "the usual"),
        (ValueError("odd"), "ValueError: odd", "the usual"),
        (KeyError(), "KeyError: KeyError", "the usual"),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied", "the usual"),
    ],
)
def test_an_error_becomes_a_failed_item(error: Exception, found: str, mend: str) -> None:
    item = failed_item(Item("camera", "door", "ok", mend="the usual"), error)
    assert (item.state, item.found, item.mend) == ("failed", found, mend)


def test_an_exception_of_one_check_is_its_own_item() -> None:
    def breaks() -> list[Item]:
        raise SystemExit("please install it")

    tasks = [Task(OPTIONAL[0], 5.0, breaks), Task(OK, 5.0, lambda: [OK])]
    assert [item.state for task in tasks for item in task.items()] == ["failed", "ok"]


def test_a_check_that_hangs_is_given_up_and_the_others_run_meanwhile() -> None:
    never = threading.Event()
    began = time.monotonic()
    tasks = [Task(OPTIONAL[0], 0.3, lambda: [OK] if never.wait(30) else []) for _ in range(5)]
    items = [item for task in tasks for item in task.items()]
    never.set()
    assert time.monotonic() - began < 2
    assert [(item.state, item.found) for item in items] == [("failed", "no answer within 0.3 s")] * 5
    assert not items[0].required
