"""Prometheus metrics of the service, on a registry of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, Summary, generate_latest

from emotune.serve.answers import Answers
from emotune.system.version import __version__

if TYPE_CHECKING:
    from emotune.serve.models import Models

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """All metrics.

    Attributes:
        requests: Answered requests by route, method and status.
        seconds: Time from the end of a request's head to the end of its answer, by route.
        batches: Texts per batch, by model.
        queue: Texts that wait.
        labels: Predicted labels, by model. Their shares over time show drift.
        confidence: Probability of the predicted label, before calibration, by model: sum and count, so that a rate of
            the sum over a rate of the count is the mean.
        truncated: Texts that were cut, by model.
        models: 1 for each model, with what it is.
        reloads: Reloads by model and outcome: "changed", "unchanged", "failed".
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        def named(name: str) -> str:
            return f"emotune_{name}"

        self.requests = Counter(
            named("requests"), "Answered requests.", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            named("request_seconds"), "Time to answer a request.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self.batches = Histogram(
            named("batch_texts"), "Texts per batch.", ("model",), buckets=_TEXTS, registry=self.registry
        )
        self.queue = Gauge(named("queued_texts"), "Texts that wait.", registry=self.registry)
        self.labels = Counter(named("predictions"), "Predicted labels.", ("model", "label"), registry=self.registry)
        self.confidence = Summary(
            named("confidence"), "Probability of the predicted label.", ("model",), registry=self.registry
        )
        self.truncated = Counter(
            named("truncated_texts"), "Texts cut to the model's limit.", ("model",), registry=self.registry
        )
        self.models = Gauge(
            named("model_info"), "Served models.", ("model", "base", "method", "emotune"), registry=self.registry
        )
        self.reloads = Counter(
            named("reloads"), "Reloads of folders after SIGHUP.", ("model", "outcome"), registry=self.registry
        )

    def watch(self, queued: Callable[[], int]) -> None:
        """Ask for the number of texts that wait whenever the metrics are read."""
        self.queue.set_function(queued)

    def describe(self, models: Models) -> None:
        """Note what is served, and show every label with a count of 0 before its first prediction."""
        self.models.clear()
        for served in models:
            info = served.classifier_info
            self.models.labels(info.name, info.base, info.method, __version__).set(1)
            for label in info.labels:
                self.labels.labels(info.name, label)

    def observe(self, answers: Answers) -> None:
        """Count the predictions of a batch."""
        name = answers.served.name
        self.batches.labels(name).observe(len(answers.labels))
        predictor = answers.served.predictor
        counts = predictor.task.counts(answers.decisions, predictor.labels)
        for label, number in counts.items():
            self.labels.labels(name, label).inc(number)
        confidence = self.confidence.labels(name)
        for value in predictor.task.confidence(answers.probabilities).tolist():
            confidence.observe(value)
        if any(answers.truncated):
            self.truncated.labels(name).inc(sum(answers.truncated))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
