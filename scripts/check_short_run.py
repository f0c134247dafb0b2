"""A short real run is complete, learnt something, and its artifact writes the same words.

The verdict may be no: a dozen updates are few. `.ci/run` calls it with the run's folder.
"""

import json
import sys
from pathlib import Path


def check(run: Path) -> None:
    """Raises AssertionError with the figures that are not as they should be."""
    metrics = json.loads((run / "metrics.json").read_text())
    training = metrics["training"]
    assert json.loads((run / "run.json").read_text())["complete"]
    assert metrics["artifact"]["identical_tokens"], metrics["artifact"]
    assert abs(metrics["difference"]["loss"]) < 0.5, metrics["difference"]  # seven clips
    assert training["best_val_loss"] < training["first_val_loss"] - 0.1, training
    assert 0.5 < metrics["baseline"]["loss"] < 2, metrics["baseline"]["loss"]
    assert metrics["comparison"]["measures"]["wer"]["difference_interval"], metrics["comparison"]
    assert "<audio" in (run / "report.html").read_text()


if __name__ == "__main__":
    check(Path(sys.argv[1]))
