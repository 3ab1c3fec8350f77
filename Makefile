# `make demo` and `make test` do all the set-up they need. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The command-line client of Vast.ai, which tests drive: its pins and licences stay its own.
VASTAI := $(VENV)/vastai/bin/vastai
UV_VERSION := 0.13.9
PYTEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help vastai demo up test check lint types imports pytest bench bench-throughput bench-close bench-soak bench-rented samples lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(READY): requirements/embedded.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes --requirements requirements/embedded.lock
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --editable .
	@touch $(READY)

$(VASTAI): requirements/vastai.txt $(READY)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/vastai
	@$(BIN)/uv pip install --quiet --python $(VENV)/vastai/bin/python --requirements requirements/vastai.txt
	@touch $(VASTAI)

vastai: $(VASTAI) ## Install the Vast.ai command line, for tests alone, into an environment of its own

demo: $(READY) ## Take in, read, analyse and export samples/ on an embedded stack
	@$(BIN)/aseagi demo

up: $(READY) ## Start the embedded stack and stay
	@$(BIN)/aseagi up

test: $(READY) check pytest ## Everything CI runs: linters, types, import contracts, tests

check: lint types imports ## Linters, strict types and import contracts

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/pyright

imports: $(READY)
	@$(BIN)/lint-imports

pytest: $(READY) $(VASTAI)
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup

bench: $(READY) ## Word recall and precision of the embedded engine on samples/
	@$(BIN)/python -m bench.recall

bench-throughput: $(READY) ## 200 documents through everything, with a paced engine double
	@$(BIN)/python -m bench.throughput --documents 200 --engine paced

bench-close: $(READY) ## Pages committed around a session's close, until each is leased
	@$(BIN)/python -m bench.close

bench-soak: $(READY) ## 300 sessions on rented hosts with random faults: dollars beyond the ideal
	@$(BIN)/python -m bench.soak --sessions 300

bench-rented: $(READY) ## Rented hosts: time to the first page, share of billed time spent reading
	@$(BIN)/python -m bench.rented

samples: $(READY) ## Make samples/ again
	@$(BIN)/python -m samples.make

lock: $(READY) ## Resolve pyproject.toml into the lock file
	@sh requirements/lock.sh

clean: ## Remove environment, state and caches
	rm -rf $(VENV) .aseagi *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
