"""The only place that imports mlflow: writing runs, and reading them back."""
