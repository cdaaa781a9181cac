# make run             index and registry, with embedded SQLite and a folder for layers
# make demo            fills the index that make run started with a few example images, people, a team and comments
# make run-standalone  a registry alone, with no index
# make test            everything the tests need, then every one of them
# make quick           for the hand that just changed a line: lint, types, contracts, and the units on SQLite
# make texts           brings the site's catalogues up to date with its texts
#
# Settings (docs/settings.md) are given in the environment; VAR is the data folder.

PYTHON ?= python3
VENV   ?= .venv
VAR    ?= var
BIN    := $(VENV)/bin

QUICK := --quick tests/units

.PHONY: run demo run-standalone test quick texts lint types check-imports collect install test-tools clean

install: $(VENV)/installed
$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: install
	@exec env BIN=$(BIN) VAR=$(VAR) deploy/run

demo: install
	@exec env BIN=$(BIN) VAR=$(VAR) deploy/run demo

run-standalone: install
	@exec env BIN=$(BIN) VAR=$(VAR) deploy/run standalone

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

check-imports: install
	$(BIN)/lint-imports

LOCALE := index_service/web/locale

texts: install
	@mkdir -p build
	$(BIN)/pybabel --quiet extract -F $(LOCALE)/babel.cfg -k lazy --no-location --sort-output -o build/messages.pot index_service
	for language in $(notdir $(patsubst %/,%,$(dir $(wildcard $(LOCALE)/*/messages.po)))); do \
		$(BIN)/pybabel --quiet update -i build/messages.pot -o $(LOCALE)/$$language/messages.po -l $$language \
			--no-fuzzy-matching --ignore-obsolete --omit-header || exit 1; \
	done
	$(BIN)/python -m pytest -q tests/units/index_service/test_web_texts.py

test-tools:
	tests/install-tools

test: install test-tools
	@$(MAKE) --no-print-directory -j2 -O lint types check-imports collect
	$(BIN)/python -m pytest -n auto

quick: install
	@$(MAKE) --no-print-directory -j2 -O lint types check-imports collect SELECTED='$(QUICK)'
	$(BIN)/python -m pytest -n auto $(QUICK)

# Compiles the tests beside what else is checked: each of pytest's workers would compile them all for itself.
collect: install
	@found=$$($(BIN)/python -m pytest --collect-only -qq $(SELECTED)) || { echo "$$found"; exit 1; }

clean:
	rm -rf $(VENV) build dist *.egg-info
