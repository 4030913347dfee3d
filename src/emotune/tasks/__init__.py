"""What depends on the kind of label: loss, decision, scores, stratification, baselines, statistics, calibration, columns of files."""
