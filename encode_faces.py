"""Enrol photographs: the same as ``python main.py encode``."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.argv[1:1] = ["encode"]
    runpy.run_path(str(Path(__file__).with_name("main.py")), run_name="__main__")
