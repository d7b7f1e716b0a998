"""``python -m clothing_lightning`` lists the commands."""

import sys

COMMANDS = """clothing_lightning: which classifier is best on your clothing photos?

  python -m clothing_lightning.fit EXPERIMENT.yaml [OVERLAY.yaml ...] [--key value ...]
      train, validate, test the best checkpoint, and log all of it to MLflow
  python -m clothing_lightning.evaluate RUN [DATASET --root FOLDER]
      test a run's network again, on its own test images or on others
  python -m clothing_lightning.predict RUN IMAGE_OR_FOLDER [...]
      tell the class of photos: a table, JSON, CSV, contact sheets, explanations
  python -m clothing_lightning.compare [RUN ...] [--experiment NAME]
      which run is best, is the difference real, what does it cost: one page
  python -m clothing_lightning.analyze BACKBONE [BACKBONE ...]
      receptive field and cost of a network, layer by layer, without training
  python -m clothing_lightning.prepare DATASET [--root FOLDER] [--key value ...]
      fetch a data set where that is possible, and say what is odd about it

Each command explains itself with --help. The runs: make ui, or mlflow ui
--backend-store-uri sqlite:///mlruns/mlflow.db
"""

if __name__ == "__main__":
    sys.stdout.write(COMMANDS)
