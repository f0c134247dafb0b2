"""What holds for any manifest, split, text and score."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from moontune.data.manifest import Utterance, read_manifest
from moontune.data.normalizer import normalize, visible_text
from moontune.data.rows.fields import FIELD_NAMES
from moontune.data.splitting import SPLITS, check_groups, grouping_of, split_folds, split_utterances
from moontune.data.truecasing import style_of
from moontune.errors import UserError
from moontune.evaluation.error_rates import (
    character_edits,
    corpus_wer,
    sum_edits,
    word_edits,
    words_heard,
)
from moontune.languages.letters import is_latin

names = st.sampled_from([name for known in FIELD_NAMES.values() for name in known] + ["where"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
rows = st.dictionaries(names, values, max_size=6)
spoken = st.lists(
    st.sampled_from(
        ["the", "red", "boat", "twenty", "2nd", "half", "Dr.", "$5", "colour", "(um)", "...", "½"]
    ),
    max_size=12,
).map(" ".join)
many = settings(max_examples=150)


def read(path: Path) -> Any:
    """What is read of the manifest, or None where nothing is usable."""
    with contextlib.suppress(UserError):
        return read_manifest(path)
    return None


@many
@given(st.lists(rows | values, max_size=8))
@example([[None, {"audio_filepath": "0"}]])
def test_every_row_is_used_or_dropped_with_its_line(tmp_path_factory, content) -> None:
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in content), encoding="utf-8")
    found = read(path)
    if found is None:
        return
    used, dropped = found
    lines = [u.where for u in used] + [d.where for d in dropped]
    if len(content) == 1 and isinstance(content[0], list):
        content = content[0]  # all rows as one list, as pandas writes them
    assert sorted(lines) == sorted(f"{path}:{n}" for n in range(1, len(content) + 1))
    assert len({u.id for u in used}) == len(used)
    assert all(isinstance(u.text, str) and (u.duration or 0) >= 0 for u in used)
    assert all(d.detail and "\n" not in d.detail for d in dropped)


@many
@given(st.lists(st.binary(max_size=60) | rows.map(lambda r: json.dumps(r).encode()), max_size=6))
def test_any_bytes_are_a_manifest_or_a_users_mistake(tmp_path_factory, lines) -> None:
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    path.write_bytes(b"\n".join(lines))
    read(path)


people = st.lists(st.none() | st.sampled_from("abcdefg"), max_size=20)


@many
@given(people, st.sampled_from(["speaker", "utterance"]))
def test_a_set_is_refused_where_it_has_fewer_than_three_groups(who, by) -> None:
    clips = [Utterance(str(i), Path("/a"), "x", 1.0, s) for i, s in enumerate(who)]
    groups = {c.speaker for c in clips} - {None} if by == "speaker" else set(range(len(clips)))
    for check in (check_groups, grouping_of):
        refused = False
        try:
            check(clips, by)
        except UserError:
            refused = True
        assert refused == (len(groups) < 3)


@settings(max_examples=25)
@given(st.lists(st.sampled_from("abcdefg"), min_size=3, max_size=20), st.integers(3, 5))
def test_folds_test_every_clip_once_and_share_no_speaker(who, folds) -> None:
    who = [*who, *"abcde"]
    clips = [Utterance(str(i), Path("/a"), "x", 1.0 + i % 3, s) for i, s in enumerate(who)]
    made = split_folds(clips, folds=folds, val_share=0.1, seed=1)
    assert sorted(u.id for fold in made for u in fold.parts["test"]) == sorted(u.id for u in clips)
    for fold in made:
        speakers = [{u.speaker for u in fold.parts[name]} for name in SPLITS]
        assert sum(map(len, speakers)) == len(set(who))


def test_a_split_by_speaker_names_the_row_without_one() -> None:
    clips = [Utterance(str(i), Path("/a"), "x", 1.0, s) for i, s in enumerate(["a", "b", "c"])]
    unnamed = replace(clips[0], speaker=None, where="my.jsonl:9")
    try:
        split_utterances([*clips, unnamed], val_share=0.1, test_share=0.1, seed=1)
    except UserError as error:
        refused = str(error)
    assert "1 of 4 utterances name no speaker (first: my.jsonl:9)" in refused


@many
@given(st.text(max_size=80))
def test_any_text_is_normalised_to_words_that_hold_letters_or_digits(text) -> None:
    words = normalize(text).split(" ")
    assert words == [""] or all(any(c.isalnum() for c in word) for word in words)
    assert normalize(visible_text(text)) == normalize(text)
    assert visible_text(visible_text(text)) == visible_text(text)
    assert is_latin(text) in (True, False)
    assert style_of([text]) in ("upper", "lower", "cased")


@many
@given(st.text("ab c", max_size=20), st.integers(0, 20))
def test_what_cannot_be_seen_is_not_scored(text, at) -> None:
    for mark in ("\ufeff", "\u200b", "\u00ad", "\u202e"):
        assert normalize(text[:at] + mark + text[at:]) == normalize(text)
    assert normalize(text[:at] + " \x00 " + text[at:]) == normalize(text[:at] + " " + text[at:])


def test_a_number_without_end_is_a_word() -> None:
    assert normalize("9" * 5000) == "9" * 5000


@many
@given(spoken, spoken)
def test_edits_turn_the_one_into_the_other(reference, hypothesis) -> None:
    e = word_edits(reference, hypothesis)
    ref, hyp = normalize(reference).split(), normalize(hypothesis).split()
    assert e.words == len(ref)
    assert len(ref) - e.deletions + e.insertions == len(hyp)
    assert abs(len(ref) - len(hyp)) <= e.errors <= max(len(ref), len(hyp))
    assert e.errors == word_edits(hypothesis, reference).errors or not (ref and hyp)
    assert word_edits(reference, reference).errors == 0
    heard = words_heard(ref, hyp)
    assert len(heard) == len(ref)
    assert sum(heard) <= min(len(ref), len(hyp))
    c = character_edits(reference, hypothesis)
    assert c.errors <= max(c.characters, len(normalize(hypothesis)))


@many
@given(st.lists(st.tuples(spoken, spoken), max_size=6))
def test_the_wer_of_a_set_is_of_its_sums(pairs) -> None:
    edits = [word_edits(r, h) for r, h in pairs]
    total = sum_edits(edits)
    assert total.errors == sum(e.errors for e in edits)
    wer = corpus_wer(edits)
    assert wer is None if total.words == 0 else wer == total.errors / total.words
