# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

PYTEST := $(BIN)/python -m pytest
# One process per core, each with whole files, so that fixtures of a file are made once. The tests of
# backends run first and separately: OpenVINO crashed later tests in the same process.
IN_PARALLEL := -n auto --maxprocesses 8 --dist loadfile
NUMERICAL := tests/experiments tests/metrics tests/model tests/training tests/weighting tests/test_*.py
KERNELS := ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=SSE41 \
	OPENBLAS_CORETYPE=Nehalem OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=1 OMP_NUM_THREADS=2

.PHONY: help demo serve test test-slow test-kernels check format train-smoke clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

# Only scikit-image's sample photos are needed; its dependencies would add 170 MB.
$(VENV)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar off --quiet -e '.[heic]'
	$(BIN)/python -m pip install --progress-bar off --quiet --no-deps 'scikit-image>=0.24'
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar off --quiet -e '.[dev]'
	@touch $@ $(VENV)/.demo $(VENV)/.serve

demo: $(VENV)/.demo  ## Predict photos that ship with scikit-image; a page of them in demo/.
	@$(BIN)/python data/demo_photos.py $(DEMO)/photos
	$(BIN)/saliency predict $(DEMO)/photos -o $(DEMO)/results --report
	@echo
	@echo "Open this page in a browser: $(abspath $(DEMO)/results/report.html)"

$(VENV)/.serve: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar off --quiet -e '.[serve]'
	@touch $@

serve: $(VENV)/.serve  ## The web page and HTTP API on http://127.0.0.1:8000
	$(BIN)/saliency-serve

test: $(VENV)/.dev  ## The fast tests, about five minutes on two cores.
	@date +%s > $(VENV)/.started
	$(PYTEST) -m "not slow" tests/backends $(IN_PARALLEL)
	$(PYTEST) -m "not slow" --ignore=tests/backends $(IN_PARALLEL)
	@echo "make $@ took $$(( $$(date +%s) - $$(cat $(VENV)/.started) )) s"

test-slow: $(VENV)/.dev  ## The long tests.
	@date +%s > $(VENV)/.started
	$(PYTEST) -m slow tests/backends $(IN_PARALLEL)
	$(PYTEST) -m slow --ignore=tests/backends $(IN_PARALLEL)
	@echo "make $@ took $$(( $$(date +%s) - $$(cat $(VENV)/.started) )) s"

test-kernels: $(VENV)/.dev  ## The fast numerical tests with other processors' kernels.
	@for kernel in $(KERNELS); do \
		echo "$$kernel" && \
		env $$kernel $(PYTEST) -q -m "not slow" tests/backends $(IN_PARALLEL) && \
		env $$kernel $(PYTEST) -q -m "not slow" $(IN_PARALLEL) $(NUMERICAL) || exit 1; \
	done

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
