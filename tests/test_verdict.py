from __future__ import annotations

import pytest

from moontune.verdict import judge


def figures(loss: float, wer: float | None, truncated: int = 0) -> dict:
    return {"loss": loss, "wer": wer, "truncated": truncated, "utterances": 50}


GOOD = {"skipped": 0, "stopped": "max_steps"}
SAME = {"identical_tokens": True, "clips_compared": 5, "clips_identical": 5}


def verdict(base, tuned, training=GOOD, missing=(), artifact=SAME, fallbacks=None, smoke=False):
    return judge(base, tuned, training, list(missing), artifact, fallbacks or {}, smoke)


@pytest.mark.parametrize(
    ("base", "tuned", "accepted"),
    [
        (figures(1.0, 0.30), figures(0.89, 0.30), True),  # loss alone
        (figures(1.0, 0.30), figures(1.0, 0.28), True),  # WER alone, 6.7 %
        (figures(1.0, 0.30), figures(0.95, 0.29), False),  # neither enough
        (figures(2.24, 0.262), figures(1.515, 0.565), False),  # the ALL-CAPS run
        (figures(1.0, 0.30), figures(0.8, 0.31), True),  # a little worse, loss much better
        (figures(1.0, 0.30), figures(0.8, 0.32), False),  # clearly worse
        (figures(1.0, 0.0), figures(0.8, 0.1), False),  # a base without errors got worse
        (figures(1.0, None), figures(0.8, None), True),
    ],
)
def test_gain_and_loss_rules(base, tuned, accepted) -> None:
    v = verdict(base, tuned)
    assert v.accepted == accepted
    assert v.sentence.startswith("Accepted" if accepted else "Not accepted")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"training": {"skipped": 1, "stopped": "max_steps"}}, "stable training"),
        ({"training": {"skipped": 0, "stopped": "aborted: x"}}, "stable training"),
        ({"fallbacks": {"aten::foo": 2}}, "no MPS fallback"),
        ({"missing": ["processor"]}, "artifacts complete"),
        (
            {"artifact": {"identical_tokens": False, "clips_compared": 5, "clips_identical": 4}},
            "same words in a fresh process",
        ),
    ],
)
def test_anything_missing_or_unclean_is_not_accepted(change, name) -> None:
    v = verdict(figures(1.0, 0.3), figures(0.5, 0.1), **change)
    assert not v.accepted
    assert [c.name for c in v.checks if not c.passed] == [name]
    assert name in v.sentence


def test_transcripts_that_run_into_the_cap_are_instability() -> None:
    v = verdict(figures(1.0, 0.3), figures(0.5, 0.2, truncated=30))
    assert [c.name for c in v.checks if not c.passed] == ["stable training"]


def test_smoke_looks_at_artifacts_alone() -> None:
    worse = (figures(1.0, 0.3), figures(2.0, 0.9))
    assert verdict(*worse, smoke=True).accepted
    assert "smoke" in verdict(*worse, smoke=True).sentence
    assert not verdict(*worse, smoke=True, missing=["processor"]).accepted
