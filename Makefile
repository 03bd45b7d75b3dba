# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: help demo serve test test-slow check format train-smoke clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(VENV)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar off --quiet -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar off --quiet -e '.[dev]'
	@touch $@ $(VENV)/.demo $(VENV)/.serve

demo: $(VENV)/.demo  ## Predict photos that ship with scikit-image; results in demo/.
	@$(BIN)/python data/demo_photos.py $(DEMO)/photos
	$(BIN)/saliency predict $(DEMO)/photos -o $(DEMO)/results
	@echo
	@echo "Look at the overlays, maps and scores in: $(abspath $(DEMO)/results)"

$(VENV)/.serve: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar off --quiet -e '.[serve]'
	@touch $@

serve: $(VENV)/.serve  ## The web page and HTTP API on http://127.0.0.1:8000
	$(BIN)/saliency-serve

test: $(VENV)/.dev  ## The fast tests, under ten minutes.
	$(BIN)/python -m pytest -m "not slow" --ignore=tests/backends
	$(BIN)/python -m pytest -m "not slow" tests/backends  # alone: OpenVINO crashed what came later

test-slow: $(VENV)/.dev  ## The long tests.
	$(BIN)/python -m pytest -m slow --ignore=tests/backends
	$(BIN)/python -m pytest -m slow tests/backends

check: $(VENV)/.dev  ## Format, lint, types, import rules.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: $(VENV)/.dev  ## Put the code in shape.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train-smoke: $(VENV)/.dev  ## Train for a minute on images drawn in code.
	$(BIN)/saliency train data/recipes/smoke.toml -o runs/smoke

clean:  ## Remove what the targets above made, but for training runs.
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
