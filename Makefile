# One environment for everything: .venv, from the exact versions that were tested.
# CONSTRAINTS= (empty) takes the newest that pyproject.toml allows.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
RESOLUTION ?= highest
BIN := .venv/bin
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python \
	--resolution $(RESOLUTION) $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --editable

export NO_ALBUMENTATIONS_UPDATE = 1
export MLFLOW_DISABLE_TELEMETRY = true

.PHONY: help demo test lint unit smoke ui clean
help:            ## what there is
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

.venv/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	touch $@

.venv/user: .venv/uv pyproject.toml $(CONSTRAINTS)
	$(INSTALL) '.[weights]'
	touch $@

.venv/dev: .venv/uv pyproject.toml $(CONSTRAINTS)
	$(INSTALL) '.[weights,dev]'
	touch $@ .venv/user

demo: .venv/user  ## train and test on drawn images: no data set, no network
	$(BIN)/python -m clothing_lightning.fit experiments/resnet18.yaml experiments/overlays/sample.yaml

test: lint unit  ## lint, types, tests: everything that CI runs beside the smoke training

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/dev
	$(BIN)/python -m pytest

smoke: .venv/dev  ## fit every experiment for two batches, on real photos if CLOTHING_DATA is set
	$(BIN)/python -m tests.smoke

ui: .venv/user    ## the MLflow UI on the runs in mlruns/, at http://localhost:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db

clean:           ## remove the environment
	rm -rf .venv
