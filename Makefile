# make demo   train, decode and score connected digits spoken by people, end to end
# make test   the tests
# Both make their own virtual environment in .venv on first use.

PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin

.PHONY: demo test test-slow lint clean

demo: $(VENV)/.recipe
	cd egs2_recipe/asr1 && PATH="$(BIN):$$PATH" ./run.sh --corpus fsdd --reuse true

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -n 2 -m "not slow" tests

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -q -m slow tests

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/.recipe $(VENV)/.test: $(VENV)/.%: setup.cfg
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): about two minutes and 6 GB on first use"
	$(BIN)/python -m pip install -q -e '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) egs2_recipe/asr1/data egs2_recipe/asr1/dump egs2_recipe/asr1/exp
