# One line a target. `make help` lists them.
UV := $(shell command -v uv || echo .uv/bin/uv)
NAMES := $(subst _,-,$(filter-out __pycache__ __init__,$(basename $(notdir $(patsubst %/,%,$(wildcard competitions/*/ competitions/*.py))))))
PODIUM := .venv/bin/podium
.DEFAULT_GOAL := help
.PHONY: help setup test test-slow reliability check bench lock clean $(NAMES)

$(NAMES): setup  ## from data to a checked submission (DATA=DIR for a folder of real files)
	$(PODIUM) run $@ $(if $(DATA),--data $(DATA)) $(ARGS)

help:  ## list the targets
	@grep -hE '^[a-z$$(].*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^\$$\(NAMES\)/$(NAMES)/; s/:.*## /|/' | awk -F'|' '{n = split($$1, names, " "); for (i = 1; i <= n; i++) printf "  make %-20s %s\n", names[i], $$2}'

setup: .venv/.locked  ## make .venv from requirements.lock (a second call does nothing)

test: check  ## the tests that take under 12 minutes on two cores
	OMP_NUM_THREADS=1 .venv/bin/pytest -n auto --dist loadgroup -m "not slow"

test-slow: setup  ## the longer tests, and all proofs of reliability
	OMP_NUM_THREADS=1 .venv/bin/pytest -n auto --dist loadgroup -m "slow or reliability"

reliability: setup  ## what was tried to break it; writes docs/reliability.md
	OMP_NUM_THREADS=1 PODIUM_RELIABILITY=$(CURDIR)/build/reliability.json .venv/bin/pytest -n auto --dist loadgroup tests/reliability
	.venv/bin/python -m tests.reliability.report

check: setup  ## ruff and mypy
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

bench: setup  ## print every figure of the README (ARGS="--list" names the sections)
	.venv/bin/python -m tests.bench $(ARGS)

lock: $(UV)  ## resolve requirements.lock anew
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --extra automl pyproject.toml -o requirements.lock

clean:  ## remove .venv and caches; runs/ stays
	rm -rf .venv .uv .pytest_cache .mypy_cache .ruff_cache

.venv/.locked: requirements.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python python3 .venv
	$(UV) pip install --quiet --python .venv/bin/python --compile-bytecode --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

.uv/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --target .uv uv
