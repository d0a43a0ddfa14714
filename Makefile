# `make demo` and `make test` need Python 3.11 or newer and nothing else; they make .venv first.
# `make DEVICE=cpu ...` is the small install: no Cellpose, a smaller PyTorch.

DEVICE ?= default
VENV := .venv
BIN := $(VENV)/bin

ifeq ($(DEVICE),cpu)
CONSTRAINTS := constraints-cpu.txt
SIZE := 3 GB
DEMO_EXTRAS :=
TEST_EXTRAS := [s3,cluster,docs,test]
else
CONSTRAINTS := constraints.txt
SIZE := 8 GB
DEMO_EXTRAS := [cellpose]
TEST_EXTRAS := [cellpose,s3,cluster,docs,test]
endif

# Numeric kernels are compiled at install, so that no first run waits for them.
WARM = echo "Compiling kernels (a minute, once)"; $(BIN)/python -c "from phenolake.cli.doctor import compile_kernels; compile_kernels()"

# A stamp is newer than what it was installed from, or the install runs again.
DEMO_STAMP := $(VENV)/.demo-$(DEVICE)
TEST_STAMP := $(VENV)/.test-$(DEVICE)

.PHONY: help demo test ui docs lint types imports format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     simulate a small screen, run every asset on it, say where to look"
	@echo "make test     the whole test suite"
	@echo "make ui       Dagster's and MLflow's web pages on the lake"
	@echo "make docs     the documentation as a site in docs/site, with the Python API"
	@echo "make lint     ruff: style, docstrings, formatting"
	@echo "make types    mypy"
	@echo "make imports  which package may import which"
	@echo "make format   let ruff rewrite the code"
	@echo "make clean    remove .venv and caches; the lake stays"
	@echo "DEVICE=cpu    small install without Cellpose, e.g. make DEVICE=cpu test"

demo: $(DEMO_STAMP)
	$(BIN)/phenolake demo

ui: $(DEMO_STAMP)
	$(BIN)/phenolake ui

docs: $(TEST_STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/site
	@echo "Open docs/site/index.html"

# Tests of one file stay together. More workers: make WORKERS=4 test (2 GB of memory each).
WORKERS ?= 2
test: $(TEST_STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(TEST_STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(TEST_STAMP)
	$(BIN)/mypy

imports: $(TEST_STAMP)
	$(BIN)/lint-imports

format: $(TEST_STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) docs/site .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache dbt/target dbt/logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An install for one device replaces that for the other, so all stamps go first.
$(DEMO_STAMP): pyproject.toml $(CONSTRAINTS) | $(VENV)
	@rm -f $(VENV)/.demo-* $(VENV)/.test-*
	@$(call install,$(DEMO_EXTRAS))
	@$(WARM)
	@touch $@

# The test install holds all that the demo needs.
$(TEST_STAMP): pyproject.toml $(CONSTRAINTS) | $(VENV)
	@rm -f $(VENV)/.demo-* $(VENV)/.test-*
	@$(call install,$(TEST_EXTRAS))
	@$(WARM)
	@touch $(DEMO_STAMP) $@

# PYTHON=... chooses another interpreter.
PYTHON ?=
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

$(VENV):
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	    if "$$python" -c "$(SUITABLE)" 2>/dev/null; then \
	        echo "Making $(VENV) with $$($$python --version)"; \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "Phenolake needs Python 3.11 or newer with its venv module, and found none." >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python ..." >&2; \
	exit 1

# pip's own words are many; every large download and each 25th package are enough to see it move.
# Python compiles what it imports by itself; compiling all 36,000 files here takes minutes.
# The status travels in a file, since a pipe in plain sh has only that of its last command.
define install
echo "Installing Phenolake and its libraries (a few minutes, $(SIZE), once)"; \
{ $(BIN)/python -m pip install --disable-pip-version-check --no-compile --progress-bar off \
      -c $(CONSTRAINTS) -e '.$(1)' 2> $(VENV)/pip-errors; echo $$? > $(VENV)/pip-status; } | { \
    count=0; \
    while read -r verb rest; do \
        case "$$verb $$rest" in \
            Collecting*|Processing*) \
                count=$$((count + 1)); \
                [ $$((count % 25)) -ne 0 ] || echo "  $$count packages found";; \
            *"("[0-9][0-9][0-9]*" MB)") echo "  $$verb $$rest";; \
            Installing\ collected*) echo "  installing";; \
        esac; \
    done; }; \
exit_status=$$(cat $(VENV)/pip-status); \
[ "$$exit_status" -eq 0 ] || \
    { tail -n 20 $(VENV)/pip-errors >&2; echo "The install failed; pip says why above." >&2; exit 1; }
endef
