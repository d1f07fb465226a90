# make demo         train, decode and score connected digits spoken by people
# make test         the tests
# make test-espnet ESPNET=202511    the tests with another ESPnet: a version, or a
#                                   checkout, in an environment of its own
# make test-slow, make lint
# make docs         the documentation as a site, in site/
# All make their own virtual environment in .venv on first use, with the newest
# supported Python that runs here; PYTHON=/path/to/python takes another.

VENV ?= .venv
BIN := $(abspath $(VENV))/bin
PYTEST = -m pytest -q -n 2 -m "not slow" tests

.PHONY: demo test test-espnet test-slow lint docs clean

demo: $(VENV)/.recipe
	cd egs2_recipe/asr1 && PATH="$(BIN):$$PATH" ./run.sh --corpus fsdd --reuse true \
		--test_sets test_long --asr_config conf/train_asr_demo_blankskip_conformer.yaml \
		--inference_config conf/decode_asr_ctc_greedy.yaml

test: $(VENV)/.test
	$(BIN)/python $(PYTEST)

test-espnet:
	@test -n "$(ESPNET)" || { echo "ESPNET= a version such as 202511, or a checkout"; exit 2; }
	tools/make_environment.sh .venv-espnet-$(notdir $(ESPNET)) test "$(PYTHON)" "$(ESPNET)"
	.venv-espnet-$(notdir $(ESPNET))/bin/python $(PYTEST)

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -q -m slow tests

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Strictly: a link that leads nowhere, a page in no menu, an argument that is documented
# and not there, or a public name without a docstring is an error. Needs no ESPnet.
docs: .venv-docs/.docs
	.venv-docs/bin/ruff check --select D100,D101,D102,D103,D104 espnet_blankskip benchmarks
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "read it: .venv-docs/bin/mkdocs serve"

.venv-docs/.docs: setup.cfg
	"$${PYTHON:-$$(tools/find_python.sh 3.13 3.12 3.11)}" -m venv .venv-docs
	.venv-docs/bin/python -m pip install -q -e ".[docs]"
	@touch $@

$(VENV)/.recipe $(VENV)/.test: $(VENV)/.%: setup.cfg constraints
	@tools/make_environment.sh $(VENV) $* "$(PYTHON)"
	@touch $@

clean:
	rm -rf $(VENV) .venv-docs .venv-espnet-* site egs2_recipe/asr1/data egs2_recipe/asr1/dump egs2_recipe/asr1/exp
