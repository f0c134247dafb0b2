from __future__ import annotations

import pytest

from moontune.verdict import judge


def figures(loss: float, wer: float | None, truncated: int = 0) -> dict:
    return {"loss": loss, "wer": wer, "truncated": truncated, "utterances": 50}


GOOD = {"skipped": 0, "stopped": "max_steps"}
SAME = {"identical_tokens": True, "clips_compared": 5, "clips_identical": 5}


SPLIT = {
    "split_by": "speaker",
    "shares": {"test": {"speakers": 3}},
    "leakage": {"counts": {"speaker": 0, "audio": 0, "sentence": 0}},
}


def verdict(
    base,
    tuned,
    training=GOOD,
    missing=(),
    artifact=SAME,
    fallbacks=None,
    split=SPLIT,
    smoke=False,
):
    return judge(base, tuned, training, list(missing), artifact, fallbacks or {}, split, smoke)


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
        (figures(1.0, 20 / 60), figures(1.0, 19 / 60), True),  # 5 % to the letter, not to a float
        (figures(0.7, 0.3), figures(0.6, 0.3), True),  # 0.1 likewise
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


def test_recordings_that_training_saw_are_not_held_out() -> None:
    leaky = SPLIT | {"leakage": {"counts": {"speaker": 0, "audio": 2, "sentence": 0}}}
    v = verdict(figures(1.0, 0.3), figures(0.5, 0.1), split=leaky)
    assert [c.name for c in v.checks if not c.passed] == ["test clips unseen"]


def test_few_clips_and_mixed_speakers_are_cautioned_of() -> None:
    few = verdict(figures(1.0, 0.3), figures(0.5, 0.1)).cautions
    assert any("50 test clips (3 speakers) are few" in c for c in few)
    mixed = verdict(figures(1.0, 0.3), figures(0.5, 0.1), split=SPLIT | {"split_by": "utterance"})
    assert any("overstates" in c for c in mixed.cautions)
    many = figures(1.0, 0.3) | {"utterances": 900}
    assert verdict(many, figures(0.5, 0.1)).cautions == []


def test_transcripts_that_run_into_the_cap_are_instability() -> None:
    v = verdict(figures(1.0, 0.3), figures(0.5, 0.2, truncated=30))
    assert [c.name for c in v.checks if not c.passed] == ["stable training"]


def test_smoke_looks_at_artifacts_alone() -> None:
    worse = (figures(1.0, 0.3), figures(2.0, 0.9))
    assert verdict(*worse, smoke=True).accepted
    assert "smoke" in verdict(*worse, smoke=True).sentence
    assert not verdict(*worse, smoke=True, missing=["processor"]).accepted
