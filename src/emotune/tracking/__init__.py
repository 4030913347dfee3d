"""Trackers that receive the curves, settings and results of runs: TensorBoard, MLflow, trackio and wandb."""
