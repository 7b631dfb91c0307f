# The command menu; `make` alone lists it. A fresh machine needs Python 3.11 to 3.13, make and git.
# Another Python, in an environment of its own: make test-all PYTHON=python3.12 VENV=.venv-3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VISION := .venv-vision

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-vision fuzz reliability lint format types tables pages docs bench clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev,docs]'
	touch $@

demo: $(READY) ## the main job on the built-in data set: features, training, table, a clip with its scores
	$(BIN)/vadbench run --suite demo --results build/demo
	$(BIN)/vadbench show synthetic test03 --record mulde@velocity --results build/demo --out build/demo/test03.mp4

test: $(READY) ## the tests that run on every change
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder

test-all: $(READY) ## all tests, the slow and data-heavy ones too
	$(BIN)/python -m pytest

fuzz: $(READY) ## whatever a file may hold, for ten minutes
	$(BIN)/python tests/fuzz/for_minutes.py 10

reliability: $(READY) ## kills, races, signals, damage: all of them, and docs/reliability.md (half an hour)
	$(BIN)/python -m pytest tests/reliability -o junit_family=xunit1 --junitxml=build/reliability.xml
	$(BIN)/python docs/make_reliability.py build/reliability.xml

$(VISION)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VISION)
	grep -v '^torch==' constraints.txt > $(VISION)/constraints.txt
	$(VISION)/bin/pip install --quiet --disable-pip-version-check -c $(VISION)/constraints.txt torch==2.14.1 torchvision==0.29.1 -e '.[deep,vision,dev]'
	touch $@

test-vision: $(VISION)/.ready ## the networks that need torchvision, in an environment of their own (gigabytes)
	$(VISION)/bin/python -m pytest tests/vision

lint: $(READY) ## style
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

format: $(READY) ## mend style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY) ## static types, strict
	$(BIN)/mypy

tables: $(READY) ## write results/tables/, and the output of the documentation's examples, from the committed records again
	$(BIN)/python benchmarks/make_tables.py
	$(BIN)/python docs/run_examples.py

pages: $(READY) ## write the generated parts of README.md and docs/ again: results, picture (after make demo), methods
	$(BIN)/python docs/make_readme.py
	$(BIN)/python docs/make_methods.py
	$(BIN)/python docs/make_objects.py

docs: $(READY) ## the documentation as a site, in build/docs
	$(BIN)/python docs/make_gallery.py
	$(BIN)/zensical build --clean --strict

bench: $(READY) ## the speed benchmarks (minutes)
	for script in benchmarks/speed/*.py; do $(BIN)/python $$script || exit 1; done

clean: ## remove what make has made
	rm -rf $(VENV) .venv-* build dist .mypy_cache .ruff_cache .pytest_cache
