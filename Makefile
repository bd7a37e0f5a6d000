# `make demo` builds the jet tagger; `make test` runs the tests; `make docs` makes the site of the documentation,
# build/site/index.html. Each works alone on a fresh clone of a machine with python3 (3.11 or newer, with venv) and g++.
# Tests of the flow asic are left out where there is no OpenSTA or none of its cells (Debian: opensta,
# qflow-tech-osu018), and those of the page where there is no Chromium (Debian: chromium), unless CI is set.
# Two processes test, with one thread each: two with two each wait for each other.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n 2
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
TEST_STAMP := $(VENV)/.installed-test

.PHONY: demo docs test test-slow lint clean

demo: $(STAMP)
	$(RUN)/codesign build examples/jets/build.toml --flow rtl --also transpile.hls4ml

docs: $(DOCS_STAMP)
	$(RUN)/python -m sphinx -W --keep-going -q -c docs/site . build/site

test: $(TEST_STAMP) lint
	$(PYTEST) --dist loadfile -m "not slow"

test-slow: $(TEST_STAMP)
	$(PYTEST) -m slow

lint: $(TEST_STAMP)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/pyright --pythonpath $(RUN)/python

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[rtl]"
	touch $@

$(DOCS_STAMP): $(STAMP) pyproject.toml constraints.txt
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

$(TEST_STAMP): $(STAMP) pyproject.toml constraints.txt
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[da,dev,docs,evolutionary,generate,openml,benchmarks,rtl]"
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
