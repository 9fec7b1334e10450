"""Enrol photographs: the same as ``python main.py encode``."""

import sys

from optimind.cli import main

if __name__ == "__main__":
    sys.exit(main(["encode", *sys.argv[1:]]))
