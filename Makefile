# Everything happens in .venv, so that two commands are enough on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAIN := $(VENV)/.installed
STAMP := $(VENV)/.installed-for-tests

.PHONY: demo test lint bench check clean

demo: $(PLAIN)  ## both suites against the embedded reference parts
	$(BIN)/hookproof demo

test: $(STAMP)  ## all tests
	$(BIN)/pytest --numprocesses 2 --dist loadscope

lint: $(STAMP)  ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP)  ## figures, each as a ratio to a bare baseline in the same run
	$(BIN)/python -m benchmarks.run

check:  ## what CI runs
	bash .ci/run

clean:
	rm -rf $(VENV) dist build

$(PLAIN): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(STAMP): $(PLAIN)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@
