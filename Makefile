# `make` alone lists what there is. Works with GNU make 3.81 (macOS) and newer.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run test lint format bench lock clean

VENV := .venv
BIN := $(VENV)/bin
T ?= # make test T=tests/unit runs a part of the tests

# The first Python on the path that every locked package has a build for; else any that Crmweb runs on.
PYTHON ?= $(shell \
	for p in python3 python3.14 python3.13 python3.12 python3.11; do \
		$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$p && exit; \
	done; python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo python3)

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
# One uv release, so that two people who run `make lock` get the same file.
UV := uv==0.13.9
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)

##@ Using it
help: ## What you can ask for
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST); echo

setup: $(VENV)/.browser ## Get everything that running and testing need into .venv, a browser included
	@echo "Ready. Next: make run"

run: $(VENV)/.packages ## Start Crmweb on http://127.0.0.1:8000 (PORT, HOST, DATABASE_URL, DEMO=0)
	@exec $(BIN)/python -m crmweb.run

##@ Changing it
test: $(VENV)/.browser lint ## Check the code, then run all tests (T=tests/unit: a part of them)
	@$(BIN)/python -m tests $(T)

lint: $(VENV)/.tools ## Check style, types and templates
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo "Some files are not formatted: run make format."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/djlint templates --lint --quiet

format: $(VENV)/.tools ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

bench: $(VENV)/.tools ## Measure the board and the move
	@$(BIN)/python -m bench

lock: $(VENV)/.packages ## Write the lock files after a change to pyproject.toml (UPGRADE=-U: newest versions)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV)"
	@$(BIN)/$(COMPILE) --output-file requirements.lock pyproject.toml
	@$(BIN)/$(COMPILE) --output-file requirements-dev.lock --extra dev --constraint requirements.lock pyproject.toml
	@echo "Locked: requirements.lock, requirements-dev.lock"

clean: ## Remove .venv and caches; the data in instance/ stays
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache test-results

# Stamps: each is made once, and again when its lock file changes.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Crmweb needs Python 3.11 or newer. Install it, or name one: make setup PYTHON=/path/to/python3"; exit 1; }
	@echo "· Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.packages: requirements.lock | $(BIN)/python
	@echo "· Installing Crmweb's packages"
	@$(PIP) -r requirements.lock
	@touch $@

$(VENV)/.tools: requirements-dev.lock $(VENV)/.packages
	@echo "· Installing the tools that tests need"
	@$(PIP) -r requirements-dev.lock
	@touch $@

$(VENV)/.browser: tests/support/chromium.py $(VENV)/.tools
	@$(BIN)/python -m tests.support.chromium
	@touch $@
