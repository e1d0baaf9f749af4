# Two commands on a fresh machine:  make demo   make test
# They need Python 3.11 or newer, pip and git, and make everything else: a virtual environment with pinned versions and
# (as root on Debian or Ubuntu) the system libraries that Qt wants.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo

.PHONY: help demo test lint check-types check-layers unit slow install libs database clean

help:
	@echo "make demo      sample study, the real window, one whole loop; screenshots and a report where there is no screen"
	@echo "make test      everything CI runs: style, types, layers, tests"
	@echo "make slow      the tests that take minutes"
	@echo "make install   the virtual environment only"

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]" --group dev
	@touch $@

install: $(VENV)/installed

libs:
	@sh .ci/system-libs

demo: libs install
	$(BIN)/penumbra demo $(DEMO)

# For the tests only: a PostgreSQL server, which nobody needs who works alone.
database:
	@sh .ci/system-database

test: libs database install lint check-types check-layers unit

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-types: install
	$(BIN)/mypy

check-layers: install
	$(BIN)/lint-imports

# One thread a process: the tests start real workers, and a small machine would only fight itself.
# In their own order: by size, the long files of one test came last, and one process waited for the other.
unit: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15

slow: database install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --timeout=3600

clean:
	rm -rf $(VENV) $(DEMO) $(DEMO)-report dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
