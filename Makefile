# make run · make test · make quick · make lint · make bench: each sets up what it needs first.
PYTHON ?= python3
# Processes that share the tests, with one thread each. Those of a file stay together, since what they share is made once.
WORKERS ?= 2
SHARED = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
export TOKENIZERS_PARALLELISM ?= false
# Tests start many processes, and each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup ready run test quick test-lowest lint bench lock clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.installed  ## Make .venv from requirements.lock

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "emotune needs Python 3.11 or newer; set PYTHON=/path/to/it"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

ready: .venv/.test-installed  ## Add to .venv what tests need, from requirements-test.lock

.venv/.test-installed: requirements-test.lock .venv/.installed
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-test.lock
	@touch $@

run: setup  ## Set up, then do the main job on the bundled data (make run ARGS=--overwrite to do it again)
	$(BIN)/emotune run --preset quickstart $(ARGS)

test: ready lint  ## Set up, lint, then pass all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SHARED)

quick: ready  ## Pass the tests that take no more than a moment each: every part of the package
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SHARED) -m "not slow"

test-lowest: .venv-lowest/.installed  ## The quick tests with the lowest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest $(SHARED) -m "not slow" $(AGED)

# What old versions call may be deprecated in the new ones beneath them.
AGED := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning

# TORCH=VERSION takes another PyTorch than the lowest.
.venv-lowest/.installed: pyproject.toml tests/lowest.py
	rm -rf .venv-lowest && $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet packaging
	.venv-lowest/bin/python tests/lowest.py pyproject.toml $(TORCH:%=torch==%) > .venv-lowest/requirements.txt
	.venv-lowest/bin/python -m pip install --quiet --requirement .venv-lowest/requirements.txt
	.venv-lowest/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lint: ready  ## Ruff, mypy and import-linter, which holds the directions of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: ready  ## The figures of docs/benchmarks.md, on the data that EMOTUNE_EMOTION_DATA names: about an hour
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/busy.py
	$(BIN)/python benchmarks/main_job.py

lock:  ## Resolve the dependencies afresh and pin them
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0
	.venv-lock/bin/python -m pip install --quiet hatchling .
	{ echo "# Every version pinned: what emotune needs to run (Python 3.11 and 3.12). Made by make lock from pyproject.toml."; \
	  .venv-lock/bin/python -m pip freeze --exclude emotune | sed -E 's/\+cpu$$//'; } > requirements.lock
	.venv-lock/bin/python -m pip install --quiet --constraint requirements.lock ".[dev]"
	{ echo "# What tests, linters and benchmarks need beside requirements.lock, all extras included. Made by make lock."; \
	  .venv-lock/bin/python -m pip freeze --exclude emotune | sed -E 's/\+cpu$$//' | grep -vxFf requirements.lock; } > requirements-test.lock
	rm -rf .venv-lock

clean:  ## Remove .venv and caches
	rm -rf .venv .venv-lowest .pytest_cache .mypy_cache .ruff_cache dist build
