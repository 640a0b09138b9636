"""The endpoint's metrics as Ray's: each node's agent exports them for Prometheus, labelled by replica."""

from ray.util import metrics as ray_metrics

from diffusiontalker.serving.metrics import METRICS, PREFIX


class RayMetrics:
    """Implements `Metrics` inside a Ray worker.

    Args:
        deployment: label of every number.
    """

    def __init__(self, *, deployment: str) -> None:
        self._metrics = {}
        for name, metric in METRICS.items():
            keys = (*metric.labels, "deployment")
            # Ray, like OpenMetrics, adds `_total` to counters itself.
            match metric.kind:
                case "counter":
                    made = ray_metrics.Counter(PREFIX + name, description=metric.meaning, tag_keys=keys)
                case "gauge":
                    made = ray_metrics.Gauge(PREFIX + name, description=metric.meaning, tag_keys=keys)
                case _:
                    made = ray_metrics.Histogram(
                        PREFIX + name, description=metric.meaning, boundaries=list(metric.buckets), tag_keys=keys
                    )
            made.set_default_tags({"deployment": deployment})
            self._metrics[name] = made

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Adds to a counter."""
        if value > 0:
            self._metrics[name].inc(value, tags=labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more value of a histogram."""
        self._metrics[name].observe(value, tags=labels)

    def set(self, name: str, value: float, **labels: str) -> None:
        """A gauge's value now."""
        self._metrics[name].set(value, tags=labels)
