"""Files of older runs open as values, with what those runs did."""

from __future__ import annotations

from moontune.config.schema import TokenCap
from moontune.report.results.metrics import EvaluationFigures, GeneralSpeech
from moontune.training.summary import ReversedClips, TrainingSummary


def test_a_training_of_an_older_run_has_what_was_not_recorded_then() -> None:
    row = {
        "steps": 10,
        "best_step": 5,
        "first_val_loss": 2.0,
        "best_val_loss": 1.0,
        "seconds": 9,
        "stopped": "max_steps",
        "skipped": 0,
        "utterances_seen": 80,
        "seconds_validating": 1,
        "trainable_parameters": 7,
    }
    training = TrainingSummary.from_json(row)
    assert training.dtype == "float32"
    assert training.reversed_clips == ReversedClips(0, 0)
    assert (training.recommended, training.reasons, training.degenerated) == ({}, {}, None)
    assert training.utterances_per_second == 10.0


def test_an_evaluation_from_before_the_margin_was_a_setting_had_one_of_two() -> None:
    row = {"loss": 1.0, "wer": None, "target_tokens": 3, "normalizer": "x"}
    for decoding, margin in (({}, 2), ({"token_margin": 8}, 8)):
        figures = EvaluationFigures.from_json(
            row | {"decoding": {"tokens_per_second": 6.5, **decoding}}
        )
        assert figures.token_cap == TokenCap(6.5, margin)


def test_a_run_from_before_replay_replayed_nothing() -> None:
    row = {"comparison": None, "origin": None, "remark": "why"}
    assert GeneralSpeech.from_json(row) == GeneralSpeech(None, None, "why", None)
