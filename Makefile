# `make demo` and `make test` work on a machine that has nothing but Python 3.11: they create .venv themselves.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/installed-runtime
DEV := $(VENV)/installed-dev
# Empty is off. Hundreds of processes of the suite import the same modules: what one of them compiles, the others read.
export PYTHONDONTWRITEBYTECODE :=
# Two processes share the tests. Unit tests, which compute, have one thread each.
UNIT := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests/unit tests/manifests
WHOLE := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/integration tests/ray tests/serving
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test check lint format clean
help:
	@echo "make demo    speech in, face out: teacher, student and proof on a synthetic corpus, into runs/demo*"
	@echo "make test    linters and every test"
	@echo "make check   linters and unit tests, under two minutes"
	@echo "make format  reformat the sources"
	@echo "make clean   remove caches (runs/ and .venv/ stay)"

demo: $(RUNTIME)
	$(BIN)/python jobs/train_teacher.py --config jobs/configs/demo.yaml --resume-if-exists
	$(BIN)/python jobs/distill_student.py --config jobs/configs/demo_student.yaml --resume-if-exists

test: lint
	$(UNIT) $(ARGS)
	$(WHOLE) $(ARGS)

check: lint
	$(UNIT) -m "not slow" $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache build

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say where it is with make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: install its venv package (python3.11-venv on Debian)" >&2; exit 2; }

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the runtime packages into $(VENV) (about 2 GB, once)"
	$(INSTALL) -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the runtime and development packages into $(VENV) (about 2 GB, once)"
	$(INSTALL) -e '.[dev]'
	@touch $@ $(RUNTIME)
