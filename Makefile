# Everything runs in .venv, which tools/setup makes and which is safe to delete. `make help` lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Without bytecode every process that the tests start compiles again what it imports.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
SETUP_INPUTS := tools/setup tools/uv.txt uv.lock pyproject.toml
CODE := src tests examples tools/shape.py tools/guards.py $(if $(wildcard benchmarks/*.py),benchmarks)

# Words after the target: KEEP=1 for demo, ARGS='…' for test, test-slow, bench, soak, chaos and fuzz, SECONDS=… for fuzz.
KEEP ?=
ARGS ?=
# How long `make fuzz` is at each database.
SECONDS ?= 1200
# How many processes the tests run in: most of them wait for calls to end, so more than there are cores.
WORKERS ?= 4

.PHONY: help demo test test-slow check shape lint format types imports fix bench soak chaos fuzz guards lock clean

help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/.ready-run ## Call 24 demo phones, ask about three drawn videos, cancel a batch of each (KEEP=1 leaves the server running)
	@exec $(BIN)/covey demo $(if $(KEEP),--keep)

test: .venv/.ready-dev ## Run the default test suite and say what it skipped (ARGS='-k cancel')
	@exec $(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-slow: .venv/.ready-dev ## Run what the default suite leaves out: more histories and seeds, kills; a quarter of an hour at most
	@exec $(BIN)/pytest -m slow -n $(WORKERS) --dist worksteal $(ARGS)

check: lint format types imports ## Lint, formatting, strict types, imports, and the bounds of `make shape`
	@$(BIN)/python tools/shape.py --check

shape: .venv/.ready-dev ## How large and how tangled the code is, beside what it may be
	@$(BIN)/python tools/shape.py

lint: .venv/.ready-dev
	@$(BIN)/ruff check $(CODE)

format: .venv/.ready-dev
	@$(BIN)/ruff format --check $(CODE)

types: .venv/.ready-dev
	@$(BIN)/mypy $(CODE)

imports: .venv/.ready-dev
	@$(BIN)/lint-imports --no-logo

fix: .venv/.ready-dev ## Format the code and apply the linter's safe fixes
	@$(BIN)/ruff check --fix $(CODE); left=$$?; $(BIN)/ruff format $(CODE) && exit $$left

bench: .venv/.ready-dev ## Measure the engine; the figures are in docs/benchmarks.md
	@exec $(BIN)/python -m benchmarks $(ARGS)

soak: .venv/.ready-dev ## Run the long tests: more histories, more kills
	@exec $(BIN)/pytest -m "soak or histories" --hypothesis-profile=soak -o faulthandler_timeout=0 $(ARGS)

chaos: .venv/.ready-dev ## Kill, freeze and cut off real processes on a real PostgreSQL (ARGS='--kills 100 --seed 7')
	@exec $(BIN)/pytest -s -m chaos -o faulthandler_timeout=0 tests/chaos $(ARGS)

fuzz: .venv/.ready-dev ## Fuzz a running server on each database, 20 minutes each; fails on any 5xx (SECONDS=60, ARGS='--seed 7')
	@exec $(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

guards: .venv/.ready-dev ## Take each guard of tests/guards away, and see its test fail (ARGS=fence)
	@exec $(BIN)/python tools/guards.py $(ARGS)

lock: .venv/.ready-dev ## Write uv.lock anew from pyproject.toml (ARGS=--upgrade takes newer versions)
	@UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv UV_CACHE_DIR=.venv/.uv-cache $(BIN)/uv lock --python $(BIN)/python $(ARGS)

clean: ## Delete what was built here: .venv, caches and the demo's data; says what
	@for path in .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist demo-data; do \
	  if [ -e "$$path" ]; then echo "deleting $$path"; rm -rf "$$path"; fi; done
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@echo "kept: data/, covey.toml"

# In a folder that was moved or copied, .venv points elsewhere: set it up again.
ifneq ($(shell cat .venv/.made-in 2>/dev/null),$(realpath .))
.PHONY: .venv/.ready-run .venv/.ready-dev
endif

.venv/.ready-run: $(SETUP_INPUTS)
	@tools/setup run

.venv/.ready-dev: $(SETUP_INPUTS)
	@tools/setup dev
