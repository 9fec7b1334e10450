"""OptiMind: the status check, then the recognition loop; with a command, that command. See `python main.py --help`."""

# Up to the version check this file is written so that every Python can read it, also one that is far too old.
import json
import os
import sys


def too_old():
    # type: () -> int
    """Say which Python is needed; with `check --json`, as that command's document."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    mend = "install Python 3.11 or newer, then: make setup (or: make setup PYTHON=/path/to/python3)"
    if sys.argv[1:2] == ["check"] and "--json" in sys.argv:
        item = {
            "group": "python",
            "name": "Python",
            "state": "outdated",
            "found": found,
            "wanted": ">=3.11",
            "mend": mend,
        }
        sys.stdout.write(json.dumps({"ok": False, "items": [item]}) + "\n")
    else:
        sys.stderr.write("OptiMind needs Python 3.11 or newer; this one is " + found + "\n  mend: " + mend + "\n")
    return 1


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  the other files could not even be read then
        sys.exit(too_old())
    # An isolated Python (-I, -P) does not look beside the script by itself.
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  pathlib is younger than some Pythons
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        from optimind.cli import main

        code = main()
    except KeyboardInterrupt:
        # It came while the packages were loaded, or in the last instant.
        sys.stderr.write("interrupted\n")
        code = 1
    sys.exit(code)
