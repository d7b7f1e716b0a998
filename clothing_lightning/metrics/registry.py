"""What metrics are called in tables that people read."""

COLUMNS = {
    "accuracy": "accuracy",
    "top3": "top-3",
    "top5": "top-5",
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced acc.",
}
