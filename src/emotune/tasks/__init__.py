"""Tasks, one per kind of label: loss, decision, scores, strata, baselines, statistics, calibration, columns."""
