"""Pure functions on tensors, modules and tables; no Lightning, MLflow, matplotlib."""
