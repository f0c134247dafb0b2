from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from moontune.config.schema import TokenCap
from moontune.data.manifest import read_manifest
from moontune.evaluation.error_rates import corpus_wer, relative_gain, word_edits
from moontune.evaluation.evaluate import evaluate
from moontune.models.transcriber import load_audio
from moontune.training.losses import LossComputer


def test_word_edits_are_of_normalised_text() -> None:
    e = word_edits("MR JONES HAS TWENTY CATS", "Mister Jones has 20 cats, too.")
    assert (e.substitutions, e.deletions, e.insertions, e.words) == (0, 0, 1, 5)
    assert word_edits("a b c", "").deletions == 3
    assert (word_edits("", "a b").insertions, word_edits("", "a b").words) == (2, 0)


def test_corpus_wer_is_a_ratio_of_sums() -> None:
    edits = [word_edits("a", "b"), word_edits("one two three four five six seven eight nine", "")]
    assert corpus_wer(edits) == 1.0
    assert corpus_wer([word_edits("x", "y"), word_edits("p q r", "p q r")]) == 0.25
    assert corpus_wer([]) is None
    assert corpus_wer([word_edits("", "")]) is None


def test_relative_gain() -> None:
    assert relative_gain(0.2, 0.15) == pytest.approx(0.25)
    assert relative_gain(0.0, 0.1) is None
    assert relative_gain(None, 0.1) is None


@pytest.mark.device
def test_evaluation_sums_over_clips_and_is_repeatable(tiny_base, noise_manifest) -> None:
    rows, _ = read_manifest(noise_manifest)
    rows = rows[:5]
    one = evaluate(tiny_base, rows, load_audio, cap=TokenCap(6.5, 2))
    assert one == evaluate(tiny_base, rows, load_audio, cap=TokenCap(6.5, 2))
    assert one.loss == pytest.approx(
        sum(p.loss for p in one.predictions) / sum(p.target_tokens for p in one.predictions)
    )
    validation = LossComputer(tiny_base, load_audio, torch.float32).mean(rows)
    assert one.loss == pytest.approx(validation, abs=1e-6)
    assert one.edits.words == sum(p.edits.words for p in one.predictions)
    assert one.utterances == 5
    for u, p in zip(rows, one.predictions, strict=True):
        assert (p.id, p.reference) == (u.id, u.text)
        assert p.edits == word_edits(u.text, p.hypothesis)
    assert "EnglishTextNormalizer" in one.normalizer
    assert one.decoding == {"method": "greedy", "tokens_per_second": 6.5, "token_margin": 2}
    json.dumps(one.summary())
    backwards = evaluate(tiny_base, rows[::-1], load_audio, cap=TokenCap(6.5, 2))
    assert [p.tokens for p in backwards.predictions[::-1]] == [p.tokens for p in one.predictions]


@pytest.mark.device
def test_truncation_by_the_token_cap_is_counted(tiny_base, noise_manifest) -> None:
    rows, _ = read_manifest(noise_manifest)
    done = evaluate(tiny_base, rows[:4], load_audio, cap=TokenCap(1.0, 2))
    for p in done.predictions:
        assert len(p.tokens) <= int(p.duration) + 2
        assert p.truncated == (p.tokens[-1] != 2)
    assert done.truncated == sum(p.truncated for p in done.predictions)


@pytest.mark.device
def test_loss_is_on_the_target_and_wer_on_the_reference(tiny_base, noise_manifest) -> None:
    rows, _ = read_manifest(noise_manifest)
    plain = evaluate(tiny_base, rows[:2], load_audio, cap=TokenCap(6.5, 2))
    styled = [replace(u, target=u.text.upper()) for u in rows[:2]]
    other = evaluate(tiny_base, styled, load_audio, cap=TokenCap(6.5, 2))
    assert other.wer == plain.wer
    assert other.loss != plain.loss
    assert other.manifest != plain.manifest


def test_words_cost_the_real_model_the_same_in_any_style(tmp_path, bundled_base) -> None:
    """ALL-CAPS labels cost much more, but as typography: the words were heard as well."""
    from moontune.data.sources.bundled_speech import sample_bundled_speech

    rows = sample_bundled_speech(tmp_path).utterances[2:6]
    found = {}
    for style in (str.upper, str.lower, str):
        styled = [replace(u, target=style(u.text)) for u in rows]
        done = evaluate(bundled_base, styled, load_audio, cap=TokenCap(6.5, 8))
        words = done.edits.words
        found[style] = [
            sum(p.loss for p in done.predictions) / words,
            sum(p.loss_words for p in done.predictions) / words,
        ]
        assert all(p.loss_words <= p.loss for p in done.predictions)
    assert found[str.upper][0] > found[str][0] + 1.5
    for style in (str.upper, str.lower):
        assert found[style][1] == pytest.approx(found[str][1], abs=0.1)
