from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import noise

from moontune.config.schema import TokenCap
from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.comparison import compare
from moontune.evaluation.error_rates import Edits, corpus_wer, relative_gain, word_edits
from moontune.evaluation.evaluate import evaluate
from moontune.evaluation.kept_adapter import reason_to_keep_base
from moontune.evaluation.predictions import prediction_row
from moontune.models.consensus import agreed as agreed_on
from moontune.models.decoding import Transcript
from moontune.models.transcriber import Transcriber, load_audio
from moontune.report.markdown_tables import endings
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
    assert one.decoding == {
        "method": "greedy",
        "endless": "consensus of 8 beams",
        "tokens_per_second": 6.5,
        "token_margin": 2,
    }
    json.dumps(one.summary())
    backwards = evaluate(tiny_base, rows[::-1], load_audio, cap=TokenCap(6.5, 2))
    assert [p.tokens for p in backwards.predictions[::-1]] == [p.tokens for p in one.predictions]


def test_consensus_is_a_figure_of_its_own_beside_greedy(tiny_base, noise_manifest) -> None:
    """Greedy transcripts, losses and WER are what they are without it."""
    rows, _ = read_manifest(noise_manifest)
    cap = TokenCap(6.5, 2)
    plain = evaluate(tiny_base, rows[:4], load_audio, cap=cap)
    both = evaluate(tiny_base, rows[:4], load_audio, cap=cap, decoding="consensus")
    for one, other in zip(plain.predictions, both.predictions, strict=True):
        assert (one.consensus, replace(other, consensus=None, beams=None)) == (None, one)
        assert other.consensus is not None
        assert Edits(**other.consensus["edits"]) == word_edits(
            other.reference, other.consensus["hypothesis"]
        )
        assert other.beams is not None
        beams = [(Transcript(text, [], cut), nats) for text, nats, cut in other.beams]
        assert len(beams) == 8
        assert agreed_on(beams).text == other.consensus["hypothesis"]
    assert both.decoding["method"] == "greedy, and consensus"
    before = [p.row() for p in plain.predictions]
    after: list[Any] = [p.row() for p in both.predictions]
    assert "wer_consensus" not in compare(before, after, 1).measures
    found = compare(after, after, 1)
    agreed = found.measures["wer_consensus"]
    errors = sum(Edits(**row["consensus"]["edits"]).errors for row in after)
    assert agreed.after == agreed.before == errors / found.words
    assert [prediction_row(row, "1").get("consensus") for row in after] == [
        row["consensus"] for row in after
    ]


def test_the_greedy_transcript_that_another_stands_for_is_kept(monkeypatch, tiny_base) -> None:
    """It counts where it is asked whether the model still writes speech, and is counted."""
    loop = Transcript("ha ha ha ha ha", [5, 6], True)
    mended = Transcript("What?", [7, 2], False, greedy=loop)
    monkeypatch.setattr(Transcriber, "of_tokens", lambda _, tokens, *__: [mended] * len(tokens))
    clips = [Utterance(f"c{i}", Path("x.wav"), "What?", 1.0, "s", "What?") for i in range(4)]
    done = evaluate(tiny_base, clips, lambda u: noise(1, 1.0), cap=TokenCap(6.5, 8))
    rows: list[Any] = [p.row() for p in done.predictions]
    assert (rows[0]["hypothesis"], rows[0]["truncated"]) == ("What?", False)
    assert rows[0]["looped"] == {"hypothesis": loop.text, "tokens": [5, 6], "truncated": True}
    assert prediction_row(rows[0], "1").get("looped") == rows[0]["looped"]
    spoken: list[Any] = [{k: v for k, v in row.items() if k != "looped"} for row in rows]
    found = compare(spoken, rows, 1)
    assert (found.looped.before, found.looped.after) == (0, 4)
    ended = replace(done, predictions=[replace(p, looped=None) for p in done.predictions])
    for reason in (found.collapsed, reason_to_keep_base(ended, done)):
        assert reason is not None
        assert "4 loop or never end" in reason
    assert ("transcripts cut by the token cap", 0, 0) in endings(found)
    assert endings(found)[1][1:] == (0, 4)
    assert len(endings(compare(spoken, spoken, 1))) == 1


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
