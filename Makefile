# Two commands for a newcomer: `make demo` and `make test`. Both build .venv first where it is missing or out of date.
.PHONY: help setup demo test slow lint format bench clean
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PINS := requirements.txt requirements-face-recognition.txt requirements-dev.txt
# The first of these that is Python 3.11 or newer; PYTHON=... on the command line overrides it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## build .venv from pinned wheels

$(READY): $(PINS) setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "OptiMind needs Python 3.11 or newer: none found. Install one, or call make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "Building $(VENV) (once; the download is about 400 MB) ..."
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-face-recognition.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# opencv-python needs the system's libGL for its window; without one, its window-less twin does everything else.
	@$(PY) -c 'import cv2' 2>/dev/null || { \
		echo "No libGL here: taking OpenCV without its window (on Debian, 'apt install libgl1 libglib2.0-0' brings it)."; \
		$(PY) -m pip uninstall --quiet --yes opencv-python; \
		$(PY) -m pip install --quiet --disable-pip-version-check --no-deps \
			"$$(sed -n 's/^opencv-python==/opencv-python-headless==/p' requirements.txt)"; }
	@touch $@

demo: $(READY) ## the whole product on a scene made from two real portraits
	$(PY) -m demo

test: $(READY) ## all tests but the long ones
	$(PY) -m pytest -m "not slow"

slow: $(READY) ## the long tests: a month of a school, 200 kills, a camera that is away for a minute, visitors
	$(PY) -m pytest -m slow

lint: $(READY) ## ruff, mypy --strict, import-linter
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(READY) ## let ruff put the code in order
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(READY) ## measure against what a user would pick instead
	$(PY) -m benchmarks

clean: ## remove everything that make built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo/output
