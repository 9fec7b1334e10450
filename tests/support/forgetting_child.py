"""A process that forgets somebody and is killed on the way: ``forgetting_child.py STEP before|after``.

``STEP`` is a function as ``module:name``, or ``time`` with seconds in place of ``before``.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from school_person import ANNA

from optimind.cli import main
from optimind.cli import person as _loaded  # noqa: F401 - so that the kill does not hit the import


def killed(function: Callable[..., Any], moment: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if moment == "after":
            function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    return call


def kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    step, moment = sys.argv[1:]
    if step == "time":
        threading.Thread(target=kill_after, args=(float(moment),), daemon=True).start()
    elif step != "none":
        module_name, _, name = step.partition(":")
        owner: Any = importlib.import_module(module_name)
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, last, killed(getattr(owner, last), moment))
    sys.exit(main(["person", "forget", ANNA, "--yes", "--json"]))
