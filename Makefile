# Two commands: `make run` and `make test`. Any of these first makes .venv with the pinned packages.
# GNU make 3.81 (macOS) will do; no target's name holds a path, so the checkout's may have spaces.

PRESET ?=
SET ?=
DATA ?=
NAMES ?=
GO ?=
PORT ?= 5000
KILLS ?= 30
SEED ?= $(shell date +%s)
HOST ?= 127.0.0.1
HARDWARE ?= an unnamed machine

LIBRARY_TESTS := $(patsubst arrange/%/__init__.py,tests/%,$(wildcard arrange/*/__init__.py))

PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)
IN_VENV := .venv/bin/python
TORCH := torch==2.13.0
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DO_NOT_TRACK := true# neither Prefect nor MLflow calls home
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
export MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR := false

.PHONY: help run activations sweep compare test test-all test-lowest soak repro reproduce up ui bench lint lock release audit prune clean clean-records clean-all
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

run: .venv/ready ## the quickstart; PRESET=full (or tiny, standard ...), SET="rank.beams=100", DATA=folder (its ranking alone) for another run
	@$(IN_VENV) -m flows $(if $(DATA),ranking,pipeline) $(if $(PRESET),--preset $(PRESET)) $(if $(DATA),--data "$(DATA)") $(if $(SET),--set $(SET))

activations: .venv/ready ## search for activation functions, and the whole transfer table; PRESET=quick
	@$(IN_VENV) -m flows activations --preset $(or $(PRESET),quick) $(if $(DATA),--data "$(DATA)") $(if $(SET),--set $(SET))

sweep: .venv/ready ## losses over a grid of their parameters (section sweep), measured on validation queries
	@$(IN_VENV) -m flows sweep $(if $(PRESET),--preset $(PRESET)) $(if $(DATA),--data "$(DATA)") $(if $(SET),--set $(SET))

compare: .venv/ready ## losses at equal steps over three seeds (section compare): one table, with tests and CPU seconds
	@$(IN_VENV) -m flows compare $(if $(PRESET),--preset $(PRESET)) $(if $(DATA),--data "$(DATA)") $(if $(SET),--set $(SET))

test: .venv/ready ## the tests, without those that take minutes
	@$(IN_VENV) -m pytest -m "not slow" -n 2 --dist loadfile

test-all: .venv/ready ## all tests, real DVC, Prefect and MLflow included
	@$(IN_VENV) -m pytest

# torch apart, as below; one test is left out, since it knows the arguments of the transformers that are pinned
test-lowest: .venv/ready ## the library's tests with the lowest versions of what it needs, in .venv/lowest
	@$(IN_VENV) -m uv venv --quiet --clear --seed --python $(IN_VENV) .venv/lowest
	@.venv/lowest/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(IN_VENV) -m uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct \
		--all-extras -r pyproject.toml
	@$(IN_VENV) -m uv pip install --quiet --python .venv/lowest/bin/python --group test
	@.venv/lowest/bin/python -m pytest -m "not slow" $(LIBRARY_TESTS) \
		--deselect tests/training/test_arguments.py::test_each_argument_of_transformers_counts_or_is_refused

soak: .venv/ready ## kill -9 of anything at random moments, KILLS=30 times, each with a plain run after it; SEED=1
	@KILLS=$(KILLS) SEED=$(SEED) $(IN_VENV) -m pytest -s tests/flows/test_kills.py

repro: .venv/ready ## the pipeline by DVC alone
	@$(IN_VENV) -m dvc repro track

up: .venv/ready ## Prefect, MLflow and a worker together, until Ctrl-C; HOST=0.0.0.0 lets other machines in
	@$(IN_VENV) -m flows.up --host $(HOST)

ui: .venv/ready ## browse the recorded runs; PORT=5000
	@case "$$MLFLOW_TRACKING_URI" in \
		http*) echo "MLflow is at $$MLFLOW_TRACKING_URI" ;; \
		*) export MLFLOW_BACKEND_STORE_URI="$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}"; \
			$(IN_VENV) -m mlflow server --host 127.0.0.1 --port $(PORT) ;; \
	esac

bench: .venv/ready ## all benchmarks, in their quick form
	@set -e; for benchmark in benchmarks/[a-z]*.py; do $(IN_VENV) $$benchmark --quick; done

lint: .venv/ready ## ruff and the type checker
	@$(IN_VENV) -m ruff check .
	@$(IN_VENV) -m ruff format --check .
	@$(IN_VENV) -m mypy

.PHONY: docs test-newest
docs: .venv/ready ## check what README.md and docs/ show: commands, examples, tables
	@$(IN_VENV) -m pytest tests/test_readme.py tests/test_docstrings.py

# as test-lowest: torch apart, without the test that knows the pinned arguments of transformers
test-newest: .venv/ready ## the library's tests with the newest versions of what it needs, in .venv/newest
	@$(IN_VENV) -m uv venv --quiet --clear --seed --python $(IN_VENV) .venv/newest
	@.venv/newest/bin/python -m pip install --quiet --disable-pip-version-check torch
	@$(IN_VENV) -m uv pip install --quiet --python .venv/newest/bin/python --all-extras -r pyproject.toml
	@$(IN_VENV) -m uv pip install --quiet --python .venv/newest/bin/python --group test
	@.venv/newest/bin/python -m pytest -m "not slow" $(LIBRARY_TESTS) \
		--deselect tests/training/test_arguments.py::test_each_argument_of_transformers_counts_or_is_refused

.PHONY: test-package
test-package: .venv/ready ## the wheel and the sdist: built, and installed into an empty environment
	@$(IN_VENV) -m pytest tests/test_package.py

lock: .venv/ready ## requirements.lock anew from pyproject.toml
	@echo torch > .venv/excluded
	@$(IN_VENV) -m uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--excludes .venv/excluded --no-emit-package setuptools --all-extras --group pipeline --group dev pyproject.toml -o requirements.lock

release: .venv/ready ## run the quickstart, then bring its numbers into README and docs/results: dvc.lock and these are the version's
	@$(IN_VENV) -m flows pipeline
	@$(IN_VENV) -m docs.tables --commit-results "$(HARDWARE)"
	@git status --short dvc.lock docs README.md

audit: .venv/ready ## known vulnerabilities of the pinned packages, where the registry tells
	@$(IN_VENV) -m uv tool run pip-audit --requirement requirements.lock --no-deps --disable-pip --progress-spinner off

reproduce: .venv/ready ## the published numbers again: OK or FAIL, with both; NAMES="condition ..."
	@$(IN_VENV) -m flows.reproduce $(NAMES)

prune: .venv/ready ## what workspaces and DVC's cache hold for nobody; GO=yes removes it
	@$(IN_VENV) -m flows.prune $(if $(GO),--go)

clean: ## remove what runs have made here; DVC's cache, mlflow.db and .venv stay
	@rm -rf base_models data docids models runs results rankings reports activations exports state logs .workspaces
	@git worktree prune

clean-records: clean ## and DVC's cache, MLflow's and Prefect's records
	@rm -rf .dvc/cache .dvc/tmp mlflow.db mlartifacts mlruns .prefect

clean-all: clean-records ## and .venv: a checkout as it was cloned
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

# torch first: with it there, nothing else pulls another build of it. The stamp comes last, so that a set-up
# that failed half-way is taken up again.
.venv/ready: requirements.lock Makefile
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 is on the PATH"; echo "install one (with its venv module), or: make PYTHON=/path/to/python3.12"; exit 1; } >&2
	@test -w . || { echo "$(CURDIR) can't be written to"; echo "clone into a folder of your own, or mend its permissions"; exit 1; } >&2
	@echo "Setting up .venv with $(PYTHON) (minutes on first use)"
	@$(IN_VENV) -m pip --version >/dev/null 2>&1 || { rm -rf .venv; $(PYTHON) -m venv .venv; } || \
		{ rm -rf .venv; echo "$(PYTHON) can't make a virtual environment"; echo "install its venv module (Debian: apt-get install python3-venv)"; exit 1; } >&2
	@$(IN_VENV) -m pip install --quiet --disable-pip-version-check $(TORCH) uv==0.13.8
	@$(IN_VENV) -m uv pip install --quiet --python $(IN_VENV) --compile-bytecode -r requirements.lock || \
		$(IN_VENV) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(IN_VENV) -c "import torch, prefect, mlflow, dvc.repo, transformers"
	@touch .venv/ready
