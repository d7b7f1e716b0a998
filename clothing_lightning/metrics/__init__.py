"""Numbers about predictions: metrics, intervals, significance, calibration."""
