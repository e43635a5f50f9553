# Every target also works typed by hand; `make` lists them.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
ROWS := .cache/rows.json
.DEFAULT_GOAL := help
# Compiled once, not in each of the many processes.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help check lint fast test demo demo-down try bench-sync bench-operator generate rows lock env

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/; s/\$$\$$/$$/g' | expand -t 12

.venv/installed: pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "VendorSync needs Python 3.11 or newer, this is %s; name another one: make PYTHON=python3.13" % sys.version.split()[0])'
	@echo "installing the pinned packages into .venv (a minute, once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --no-deps --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $@

check: .venv/installed  ## format, lint, types, import rules and the fast tests: the loop while editing
	@mkdir -p .cache
	@$(MAKE) --no-print-directory lint > .cache/lint.txt 2>&1 & lint=$$!; \
	 $(MAKE) --no-print-directory fast; fast=$$?; \
	 wait $$lint || { cat .cache/lint.txt; exit 1; }; exit $$fast

lint: .venv/installed
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@mkdir -p .cache
	@$(BIN)/lint-imports --no-cache > .cache/imports.txt 2>&1 || { cat .cache/imports.txt; exit 1; }

# Two halves at once: workers of one session would collect all of it, each of them.
fast: .venv/installed
	@mkdir -p .cache
	@$(BIN)/pytest --quiet --fast tests/controller > .cache/half.txt 2>&1 & half=$$!; \
	 $(BIN)/pytest --quiet --fast --ignore=tests/controller; rest=$$?; \
	 wait $$half; half=$$?; cat .cache/half.txt; exit $$((half | rest))

test: lint  ## everything CI runs, on a real cluster and a real PostgreSQL; COVER=1 shows lines not run
	@$(BIN)/python -m dev.timed "generated files" $(BIN)/python -m dev.generate --check
	@$(BIN)/python -m dev.suite $(if $(COVER),--cover)

demo: .venv/installed  ## from a checkout to plants in PostgreSQL on a real cluster
	@$(BIN)/python -m dev.demo up

demo-down: .venv/installed  ## remove the demo's cluster with all it holds
	@$(BIN)/python -m dev.demo down

try: .venv/installed  ## the sync job alone: simulated vendors, own PostgreSQL, no cluster, no root
	@$(BIN)/python -m dev.trial $(if $(KEEP),--keep $(KEEP))

bench-sync: .venv/installed  ## the sync job against other ways to do the same; STRICT=1 fails on a short one
	@$(BIN)/python -m bench.sync $(WORKS)

bench-operator: .venv/installed  ## the operator at thousands of resources against bare requests; STRICT=1 as above
	@$(BIN)/python -m bench.controller $(WORKS)

env: .venv/installed  ## print what points kubectl and helm at the demo: eval "$$(make -s env)"
	@$(BIN)/python -m dev.cluster env || echo false

generate: .venv/installed  ## write the CRD, the install manifest and the reference pages
	@$(BIN)/python -m dev.generate

rows: .venv/installed  ## requirement rows and faults with the tests that showed them
	@$(BIN)/python -m dev.rows $(ROWS)

lock: .venv/installed  ## resolve requirements/*.txt anew from pyproject.toml
	@$(BIN)/python -m dev.lock
	@$(BIN)/python -m bench.lock
