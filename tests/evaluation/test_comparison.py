from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from moontune.data.normalizer import normalize
from moontune.errors import UserError
from moontune.evaluation.comparison import compare
from moontune.evaluation.error_rates import character_edits, word_edits
from moontune.evaluation.measures import ClipCounts, Comparison


def row(ident: str, speaker: str | None, reference: str, hypothesis: str, **more) -> Any:
    return {
        "id": ident,
        "speaker": speaker,
        "duration": 3.0,
        "reference": reference,
        "target": reference,
        "hypothesis": hypothesis,
        "normalized_reference": normalize(reference),
        "normalized_hypothesis": normalize(hypothesis),
        "truncated": False,
        "loss": 4.0,
        "loss_words": 3.0,
        "target_tokens": 4,
        "edits": asdict(word_edits(reference, hypothesis)),
        "characters": asdict(character_edits(reference, hypothesis)),
    } | more


TRUTH = "The red boat sails home."


def test_clips_of_nobody_named_are_not_counted_to_the_one_speaker_that_is() -> None:
    before = [row(str(i), "anna" if i else None, TRUTH, TRUTH) for i in range(3)]
    text = compare(before, before, 0).sentences["wer"]
    assert "with 3 clips, 1 of them of unknown speakers (" in text
    before = [r | {"speaker": "anna"} for r in before]
    assert "with 3 clips of this one speaker (" in compare(before, before, 0).sentences["wer"]


def test_a_clip_whose_length_is_not_known_is_not_said_to_be_short() -> None:
    rows = [row(str(i), None, TRUTH, TRUTH, duration=3.0 * i) for i in range(2)]
    assert [(g.name, g.utterances) for g in compare(rows, rows, 0).by_duration] == [
        ("2 to 4 s", 1),
        ("not known", 1),
    ]
    assert compare(rows[:1], rows[:1], 0).by_duration == []


def pair(speakers: int, clips: int, wrong: str = "The bed goat sails home."):
    """A base that mishears two words in every clip, and a tuned model that hears all."""
    named = [(f"c{s}-{i}", f"s{s}") for s in range(speakers) for i in range(clips)]
    before = [row(i, s, TRUTH, wrong) for i, s in named]
    after = [row(i, s, TRUTH, TRUTH, loss=2.0, loss_words=1.5) for i, s in named]
    return before, after


def test_a_gain_of_every_speaker_is_better_and_named() -> None:
    c = compare(*pair(8, 4), seed=1)
    wer = c.measures["wer"]
    assert (wer.before, wer.after, wer.outcome) == (0.4, 0.0, "better")
    assert wer.probability_better == 1.0
    assert c.words_fixed == [("boat", 32), ("red", 32)]
    assert c.words_broken == []
    assert c.clips == ClipCounts(fixed=32, broken=0, same=0)
    assert c.edits.before.substitutions == 64
    assert [r.name for r in c.by_speaker] == [f"s{i}" for i in range(8)]
    assert all(r.before_errors == 8 and r.after_errors == 0 for r in c.by_speaker)
    assert "WER is better: 40.00 % -> 0.00 %" in c.sentences["wer"]
    backwards = compare(*pair(8, 4)[::-1], seed=1)
    assert backwards.measures["wer"].outcome == "worse"
    assert backwards.words_broken == c.words_fixed


def test_loss_is_split_into_words_and_typography() -> None:
    m = compare(*pair(3, 3), seed=1).measures
    assert m["loss"].difference == pytest.approx(-0.5)
    assert m["loss_words"].difference == pytest.approx(-0.375)
    assert m["loss_typography"].difference == pytest.approx(-0.125)


def test_what_a_few_speakers_cannot_say_is_said() -> None:
    """Four speakers gain and two lose: no telling about a seventh, however many clips each has."""
    before, after = pair(6, 15)
    spoilt = [
        row(r["id"], r["speaker"], TRUTH, "A bed goat sails.")
        if r["speaker"] in ("s4", "s5")
        else r
        for r in after
    ]
    c = compare(before, spoilt, seed=1)
    wer = c.measures["wer"]
    assert wer.difference is not None
    assert wer.difference < -0.1
    assert wer.outcome == "undecided"
    assert wer.utterances_needed is not None
    assert wer.utterances_needed > 90
    assert wer.same_speakers is not None
    assert wer.same_speakers.outcome == "better"
    text = c.sentences["wer"]
    assert "cannot be told apart with 90 clips of 6 speakers" in text
    needed = f"{wer.utterances_needed:,} clips, of more speakers in proportion, would"
    assert f"about {needed} show a gain of this size" in text
    assert "For these 6 speakers themselves it is better" in text
    backwards = compare(spoilt, before, seed=1).sentences["wer"]
    assert f"about {needed} show a loss of this size" in backwards


def in_sessions(rows: list[Any], clips: int) -> list[Any]:
    return [r | {"group": f"day {i // clips}"} for i, r in enumerate(rows)]


def test_sessions_that_the_split_kept_whole_are_resampled() -> None:
    """Half of the days gain much, half lose a little: more clips of each say nothing more."""
    before, after = pair(2, 60)
    before = in_sessions(before, 15)
    after = in_sessions(after, 15)
    lost = ("day 0", "day 2", "day 4")
    wrong = "A bed goat sails."
    after = [row(r["id"], r["speaker"], TRUTH, wrong) if r["group"] in lost else r for r in after]
    c = compare(before, after, seed=1)
    assert (c.bootstrap.unit, c.bootstrap.units) == ("session", 8)
    assert c.measures["wer"].outcome == "undecided"
    assert c.measures["wer"].same_speakers is None
    assert "cannot be told apart with 120 clips of 8 sessions" in c.sentences["wer"]
    assert "clips, of more sessions in proportion, would show" in c.sentences["wer"]
    alone: Any = [{k: v for k, v in r.items() if k != "group"} for r in before]
    by_clip = compare(alone, after, seed=1)
    assert by_clip.bootstrap.unit == "clip"
    assert by_clip.measures["wer"].outcome == "better"  # as if the days did not matter
    assert Comparison.from_json(json.loads(json.dumps(c.to_json()))) == c


def test_fewer_than_five_sessions_say_nothing_of_others() -> None:
    before, after = pair(1, 40)
    c = compare(in_sessions(before, 10), in_sessions(after, 10), seed=1)
    assert (c.bootstrap.unit, c.bootstrap.units) == ("clip", 40)
    assert "40 clips of these 4 sessions" in c.sentences["wer"]
    one = compare(in_sessions(before, 99), in_sessions(after, 99), seed=1)
    assert "40 clips of this session" in one.sentences["wer"]


def test_two_speakers_that_happen_to_agree_are_not_certain() -> None:
    """Both gain one error in four clips: among clips that differ, that is no news."""
    before, after = [], []
    for speaker in ("a", "b"):
        for i in range(12):
            heard = i % 4
            wrong = "The bed boat sails home."
            before.append(row(f"{speaker}{i}", speaker, TRUTH, wrong if heard < 2 else TRUTH))
            after.append(row(f"{speaker}{i}", speaker, TRUTH, wrong if heard in (1, 2) else TRUTH))
    before[0] = before[12] = row("a0", "a", TRUTH, "The bed goat sails home.")
    before[12] = before[12] | {"id": "b0", "speaker": "b"}
    wer = compare(before, after, seed=1).measures["wer"]
    assert wer.outcome == "undecided"
    assert wer.difference_interval is not None
    assert wer.difference is not None
    assert wer.difference_interval.low < wer.difference < 0 < wer.difference_interval.high
    assert wer.utterances_needed is not None
    assert wer.utterances_needed > 24


def test_speakers_with_a_clip_each_are_not_resampled_within() -> None:
    before, after = pair(12, 1)
    assert compare(before, after, seed=1).measures["wer"].same_speakers is None


def test_one_clip_proves_nothing_and_alike_clips_little() -> None:
    before, after = pair(1, 1)
    c = compare(before, after, seed=1)
    wer = c.measures["wer"]
    assert (wer.difference_interval, wer.outcome) == (None, "undecided")
    assert wer.probability_better == 0.5
    assert (
        "cannot be told apart with 1 clip of this one speaker (-40.00 points)."
        in c.sentences["wer"]
    )
    for clips, outcome in ((3, "undecided"), (8, "better")):
        assert compare(*pair(1, clips), seed=1).measures["wer"].outcome == outcome


def test_clips_that_differ_are_not_less_few() -> None:
    """Each gains an error, of 10 words or 11: chance does that to two clips one time in four."""
    before, after = pair(1, 4)
    longer = row("c0-0", "s0", f"Then {TRUTH}", "Then the bed goat sails home.")
    before[0], after[0] = longer, row("c0-0", "s0", f"Then {TRUTH}", f"Then {TRUTH}")
    wer = compare(before, after, seed=1).measures["wer"]
    assert wer.difference_interval is not None
    assert wer.difference_interval.high < 0
    assert wer.outcome == "undecided"


def test_many_nameless_clips_are_no_speaker_whose_clips_are_resampled() -> None:
    before, after = pair(5, 6)
    nameless = [
        [r | {"id": f"n{i}", "speaker": None} for i, r in enumerate(part * 2)]
        for part in (before, after)
    ]
    c = compare(before + nameless[0], after + nameless[1], seed=1)
    assert c.bootstrap.units == 5 + 60
    assert c.measures["wer"].same_speakers is None


def test_one_nameless_clip_does_not_turn_speakers_into_clips() -> None:
    before, after = pair(6, 10)
    before[0] = before[0] | {"speaker": None}
    b = compare(before, after, seed=1).bootstrap
    assert (b.unit, b.units) == ("speaker", 7)


def test_of_fewer_than_five_speakers_the_interval_is_for_them_and_is_possible() -> None:
    before, after = pair(3, 4, wrong=TRUTH)
    before[0] = row("c0-0", "s0", TRUTH, "The bed goat sails home.")
    c = compare(before, after, seed=1)
    assert (c.bootstrap.unit, c.bootstrap.units) == ("clip", 12)
    assert "with 12 clips of these 3 speakers" in c.sentences["wer"]
    interval = c.error_rate.difference_interval
    assert interval is not None
    assert c.error_rate.before is not None
    assert interval[0] >= -c.error_rate.before
    assert c.error_rate.same_speakers is None


@pytest.mark.parametrize("speaker", [None, "ann"])
def test_without_two_speakers_clips_are_resampled(speaker) -> None:
    before, after = pair(1, 20)
    named = [[r | {"speaker": speaker} for r in rows] for rows in (before, after)]
    c = compare(*named, seed=1)
    assert c.bootstrap.unit == "clip"
    assert c.bootstrap.units == 20
    assert c.measures["wer"].outcome == "better"


def test_no_reference_words_no_rates() -> None:
    rows = [row(f"c{i}", "s", "", "Hello.") for i in range(3)]
    c = compare(rows, rows, seed=1)
    assert c.measures["wer"].before is None
    assert c.measures["loss"].before == 1.0
    assert "not measured" in c.sentences["wer"]


def test_order_does_not_matter_but_clips_and_references_do() -> None:
    before, after = pair(3, 3)
    assert compare(before, after[::-1], seed=1) == compare(before, after, seed=1)
    with pytest.raises(UserError, match="not of the same clips"):
        compare(before, after[1:], seed=1)
    with pytest.raises(UserError, match="two references"):
        compare(before, [after[0] | {"reference": "Another."}, *after[1:]], seed=1)
    same = after[0] | {"reference": "the RED boat, sails home"}
    assert (
        compare(before, [same, *after[1:]], seed=1).error_rate
        == compare(before, after, seed=1).error_rate
    )
    other_style = [r | {"target": "THE RED BOAT SAILS HOME"} for r in after]
    assert set(compare(before, other_style, seed=1).measures) == {"wer", "cer"}


def test_length_bands_hold_every_clip_once() -> None:
    lengths = (0.5, 2.0, 3.99, 4.0, 9.0, 16.0, 29.0)
    rows = [row(f"c{i}", "s", TRUTH, TRUTH, duration=d) for i, d in enumerate(lengths)]
    bands = compare(rows, rows, seed=1).by_duration
    assert [(b.name, b.utterances) for b in bands] == [
        ("under 2 s", 1),
        ("2 to 4 s", 2),
        ("4 to 8 s", 1),
        ("8 to 16 s", 1),
        ("16 s and more", 2),
    ]


@pytest.mark.parametrize(
    "predictions", [pair(3, 4), pair(1, 1), ([row("c", None, "", "Hi.")], [row("c", None, "", "")])]
)
def test_a_comparison_is_read_back_from_json_as_it_was(predictions) -> None:
    c = compare(*predictions, seed=1)
    text = json.dumps(c.to_json())
    again = Comparison.from_json(json.loads(text))
    assert again == c
    assert json.dumps(again.to_json()) == text


def test_its_json_has_the_keys_that_runs_have_always_had() -> None:
    keys = compare(*pair(3, 4), seed=1).to_json()
    assert list(keys) == [
        *("utterances", "speakers", "words", "seconds", "bootstrap", "measures", "edits"),
        *("truncated", "clips", "by_speaker", "by_duration", "words_fixed", "words_broken"),
        *("style", "collapsed", "sentences", "looped", "consensus", "domain_text", "speeds"),
    ]
    assert list(keys["measures"]["wer"]) == [
        *("before", "after", "difference", "relative"),
        *("before_interval", "after_interval", "difference_interval"),
        *("probability_better", "outcome", "utterances_needed", "same_speakers"),
    ]
    assert json.loads(json.dumps(keys))["measures"]["wer"]["difference_interval"] == [-0.4, -0.4]


def changed(clips: int, speakers: int, before: str, after: str) -> Comparison:
    """All clips change alike but every third, whose texts the two models share."""
    ids = [(f"c{i}", f"s{i % speakers}") for i in range(clips)]
    return compare(
        [row(i, s, TRUTH, TRUTH if n % 3 == 2 else before) for n, (i, s) in enumerate(ids)],
        [row(i, s, TRUTH, TRUTH if n % 3 == 2 else after) for n, (i, s) in enumerate(ids)],
        seed=1,
    )


def test_an_interval_for_these_speakers_is_within_what_is_possible_too() -> None:
    before, after = pair(6, 6, "a b c d e f g")
    before[0]["edits"]["words"] += 40  # errors and words go apart, and so do the draws' ratios
    same = compare(before, after, seed=1).error_rate
    assert same.same_speakers is not None
    assert same.same_speakers.difference_interval is not None
    assert same.before is not None
    assert same.same_speakers.difference_interval.low >= -same.before


def test_no_more_typography_than_there_is_can_be_gained() -> None:
    before, after = pair(1, 8)
    for n, (one, other) in enumerate(zip(before, after, strict=True)):
        one["loss_words"] = one["loss"]
        other["loss_words"] = other["loss"] - (n == 0)
    typography = compare(before, after, seed=1).measures["loss_typography"]
    assert typography.before == 0
    assert typography.difference_interval is not None
    assert typography.difference_interval.low == 0


def test_a_base_without_errors_has_a_loss_to_show_and_no_negative_zero() -> None:
    lost = changed(4, 1, TRUTH, "The red boat sails on.").sentences["wer"]
    assert "0.00 % -> " in lost
    assert "a gain" not in lost
    assert "-0.00" not in changed(8, 1, TRUTH, TRUTH).sentences["wer"]


def test_so_few_clips_decide_nothing_though_their_interval_does() -> None:
    sentence = changed(2, 1, "The red boat sails on.", TRUTH).sentences["wer"]
    assert "cannot be told apart" in sentence
    assert "; so few clips decide nothing" in sentence
    wide = compare(*pair(1, 3, "The red boat sails on."), seed=1)
    assert (wide.error_rate.utterances_needed or 6) >= 6


@pytest.mark.parametrize(("fixed", "outcome"), [(24, "better"), (1, "undecided"), (0, "undecided")])
def test_what_consensus_changes_of_each_model_has_an_interval(fixed, outcome) -> None:
    """A word more in one clip of 24 is a better figure, and says nothing."""
    before, after = pair(6, 4)
    right = asdict(word_edits(TRUTH, TRUTH))

    def heard(rows: list[Any], among: int) -> list[Any]:
        other = [right if i < among else r["edits"] for i, r in enumerate(rows)]
        return [
            r | {"consensus": {"hypothesis": "", "normalized_hypothesis": "", "edits": edits}}
            for r, edits in zip(rows, other, strict=True)
        ]

    assert compare(before, after, 1).consensus is None
    found = compare(heard(before, fixed), heard(after, 0), 1)
    assert found.consensus is not None
    of_base = found.consensus.before
    assert (of_base.before, of_base.outcome) == (0.4, outcome)
    assert of_base.after == pytest.approx(0.4 * (1 - fixed / 24))
    assert found.consensus.after.difference == 0
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found
