# The one door. `make demo` and `make test` do all their own set-up on a clean clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Without a cap, two libraries' thread pools fight over two cores and slow each other many times over.
ONE_THREAD := env OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
WORKERS ?= 2
# Keeping freed memory instead of returning it to the system saves a tenth of the training time (glibc).
MALLOC := env MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=268435456

# Every process would compile torch and transformers anew, which takes 20 s instead of 8 for the import.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-full test parity check format docs bench golden clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) --no-compile -e ".[dev]"
	touch $@

# The demo needs no developer tools; after `make setup` there is nothing left to install. Modules are compiled when they
# are first imported, so those that are not cost nothing.
$(VENV)/.ready-demo: pyproject.toml constraints.txt | $(BIN)/python
	test $(READY) -nt pyproject.toml -a $(READY) -nt constraints.txt || $(PIP_INSTALL) --no-compile -e ".[demo]"
	touch $@

setup: $(READY)  ## create .venv and install everything pinned in constraints.txt

demo: $(VENV)/.ready-demo  ## data, training, evaluation, report, three answers on two scenes (minutes, CPU)
	$(MALLOC) $(BIN)/geoprose demo --out runs/demo

demo-full: $(VENV)/.ready-demo  ## the demo plus the blind system and the ablations (no limit of minutes)
	$(MALLOC) $(BIN)/geoprose demo --out runs/demo --full

# Files in their order: sorted by their number of tests, the few long ones would come last and leave a processor idle.
test: $(READY)  ## the default test suite: offline, CPU, under ten minutes
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

parity: $(READY)  ## the heavier proofs, about ten minutes
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist load -m "slow and not gpu and not network"

check: $(READY)  ## ruff, mypy strict, import-linter, codespell, strict docs build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs benchmarks examples README.md CONTRIBUTING.md CHANGELOG.md
	$(MAKE) --no-print-directory docs

docs: $(READY)  ## build the documentation strictly into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(READY)  ## every benchmark, each ends with one line of JSON
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(ONE_THREAD) $(BIN)/python $$file --json || exit 1; done

golden: $(READY)  ## rewrite the golden files; say why in the commit
	GEOPROSE_UPDATE_GOLDEN=1 $(ONE_THREAD) $(BIN)/python -m pytest tests/golden

format: $(READY)  ## apply ruff's formatting and safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and caches, keep runs/
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
