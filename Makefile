# make run    everything on this machine: an embedded Valkey, two replicas, a page, a token
# make test   the whole test suite
# make faults every fault with several seeds: ARGS="--seeds 3 --only kill"
# Neither needs root, Docker or a running Redis.

PYTHON ?= python3
VENV   ?= .venv
WORKERS ?= 4
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
VENDORED := gateway/fairlead_gateway/static/vendor/manifest.json

.PHONY: run test faults lint format clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed-dev
	@exec $(BIN)/fairlead dev $(ARGS)

test: lint
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

faults: $(VENV)/.installed-test
	$(BIN)/python -m tests.faults $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.installed-%: pyproject.toml $(VENDORED) | $(BIN)/python
	$(PIP) --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed: make PYTHON=python3.13 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	    || { echo "Python lacks its venv module; on Debian: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
