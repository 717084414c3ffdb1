# Everything happens in .venv, so that two commands are enough on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAIN := $(VENV)/.installed
STAMP := $(VENV)/.installed-for-tests
# What is imported is compiled then; to compile everything beforehand takes as long as the rest. It must
# be written down, too: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=
LOCALE := conformance/reporting/locale
POT := .venv/hookproof.pot
INSTALL := $(BIN)/pip install --quiet --no-compile --editable

.PHONY: demo test selftest soak lint messages bench check clean

demo: $(PLAIN)  ## both suites against the embedded reference parts
	$(BIN)/hookproof demo

test: $(STAMP)  ## every behaviour once: a few minutes
	$(BIN)/pytest --numprocesses 4

selftest: $(STAMP)  ## the suite against its whole gallery, in all stacks
	$(BIN)/hookproof selftest

soak: $(STAMP)  ## what is long by nature: series of kills, long loads, thousands of drawn examples
	$(BIN)/pytest -m soak -v -rP --durations=0 -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

lint: $(STAMP)  ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

messages: $(STAMP)  ## the catalogue of Chinese texts: new sentences go in, unused ones out; then fill in what is empty
	$(BIN)/pybabel extract --no-default-keywords --keyword Sentence --keyword InputError --keyword HarnessError \
		--keyword declare:1 --keyword same:3 \
		--add-location file --width 100 --output $(POT) conformance
	$(BIN)/pybabel update --input-file $(POT) --domain hookproof --output-dir $(LOCALE) --locale zh_Hant \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 100
	$(BIN)/pybabel compile --domain hookproof --directory $(LOCALE)

bench: $(STAMP)  ## figures, each as a ratio to a bare baseline in the same run
	$(BIN)/python -m benchmarks.run

check:  ## what CI runs
	bash .ci/run

clean:
	rm -rf $(VENV) dist build

$(VENV):
	$(PYTHON) -m venv $@

$(PLAIN): pyproject.toml | $(VENV)
	$(INSTALL) .
	touch $@

$(STAMP): pyproject.toml | $(VENV)
	$(INSTALL) '.[test]'
	touch $(PLAIN) $@
