# The newcomer's menu. Targets that need packages install them first, hash-checked, into .venv;
# .ci/run calls the same targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The newest locked wheels exist for these versions; set PYTHON=... to choose another interpreter.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)

.PHONY: help
help: ## list the targets
	@echo "make TARGET [ARGS='...']"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: venv
venv: .venv/.package ## create .venv with the locked runtime packages and needstream itself

.PHONY: demo
demo: .venv/.package ## run the demo: embedded broker, worker, sample events, live page
	@$(BIN)/needstream demo $(ARGS)

.PHONY: test
test: .venv/.package .venv/.ci ## run every test that needs no Apache Kafka, but the long drills
	@NEEDSTREAM_TEST_BROKERS=$${NEEDSTREAM_TEST_BROKERS:-embedded} $(BIN)/pytest -m "not drill" $(ARGS)

.PHONY: test-kafka
test-kafka: .venv/.package .venv/.ci ## run the broker tests, against Apache Kafka too (Java and Maven)
	@NEEDSTREAM_TEST_BROKERS=$${NEEDSTREAM_TEST_BROKERS:-embedded,apache} $(BIN)/pytest -m kafka $(ARGS)

.PHONY: coverage
coverage: .venv/.package .venv/.ci ## hold the branch coverage of the contracts and the pipeline at its floor
	@$(BIN)/pytest -m "not kafka" --cov=schemas --cov=streams/pipeline --cov-branch --cov-fail-under=95 $(ARGS)

.PHONY: lint
lint: .venv/.package .venv/.ci ## check format, lint, types, layers and spelling
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell

.PHONY: chaos
chaos: .venv/.package ## kill workers, move partitions, deliver twice: is the result that of a run nobody disturbed?
	@$(BIN)/needstream chaos $(ARGS)

.PHONY: bench
bench: .venv/.package .venv/.bench ## measure throughput beside other stream processors on this machine
	@$(BIN)/needstream bench $(ARGS)

.PHONY: bench-core
bench-core: .venv/.package ## measure the core alone, in memory
	@$(BIN)/needstream bench core $(ARGS)

.PHONY: bench-quality
bench-quality: .venv/.package .venv/.bench ## judge the models on public data (NEEDSTREAM_DATA) and simulated banks
	@$(BIN)/python -m bench.quality $(ARGS)

.PHONY: schemas
schemas: .venv/.package ## regenerate the JSON Schemas
	@$(BIN)/python -m needstream.schemas.generate

.PHONY: lock
lock: .venv/.ci ## resolve requirements/*.txt again from pyproject.toml (ARGS=--upgrade for newer versions)
	@unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL; \
	compile() { $(BIN)/pip-compile pyproject.toml --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options $(ARGS) "$$@"; }; \
	compile --build-deps-for editable --output-file requirements/demo.txt; \
	compile --build-deps-for editable --extra test --extra dev --constraint requirements/demo.txt --output-file requirements/ci.txt; \
	compile --extra bench --constraint requirements/ci.txt --output-file requirements/bench.txt

.PHONY: clean
clean: ## remove caches and build results; .venv stays
	@rm -rf build dist *.egg-info .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.venv/bin/python:
	@if ! "$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null; then \
		echo "needstream needs Python 3.11 to 3.14; $(if $(PYTHON),$(PYTHON) is none,there is none on the PATH)." >&2; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@$(PYTHON) -m venv .venv

.venv/.runtime: requirements/demo.txt | .venv/bin/python
	@echo "Installing the locked packages into .venv (about a minute the first time) ..."
	@$(PIP) install --require-hashes --requirement requirements/demo.txt
	@touch $@

.venv/.ci: requirements/ci.txt .venv/.runtime
	@echo "Installing the test and lint packages into .venv ..."
	@$(PIP) install --require-hashes --requirement requirements/ci.txt
	@touch $@

.venv/.bench: requirements/bench.txt .venv/.runtime
	@echo "Installing what the models are compared with into .venv ..."
	@$(PIP) install --require-hashes --requirement requirements/bench.txt
	@touch $@

.venv/.package: pyproject.toml .venv/.runtime
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@
