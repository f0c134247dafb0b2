"""Words that were corrected as key terms: which are proposed, and the list that is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moontune.cli.dispatch import main
from moontune.data.word_lists.key_terms import read_key_terms
from moontune.evaluation.key_terms.proposed import Correction, Proposal, proposed_terms


def proposed(*pairs: tuple[str, str]) -> list[Proposal]:
    return proposed_terms(Correction(old, new) for old, new in pairs)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("I met the dracula today.", "I met Drascula today.", "Drascula | dracula"),
        ("a pick me coffee", "a pygmy coffee", "pygmy | pick me"),
        ("Fly an air bus, please.", "Fly an Airbus, please.", "Airbus | air bus"),
        ("to new jork, at last", "to New York, at last", "York | jork"),
        ("We meet sorber!", 'We met "Zorba"!', "Zorba | sorber"),
    ],
)
def test_a_word_that_sounds_like_what_stood_there_is_proposed(old, new, line) -> None:
    """With the words that are likest to it, and without what stands around them."""
    assert line in [one.line for one in proposed((old, new))]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("the cat came", "the dog came"),  # another word
        ("then it came", "than it came"),  # none that says what it is about
        ("Drascula came", "Drascula came!"),
        ("came", "Drascula came"),  # nothing stood there
        ("one two came", "12 came"),
    ],
)
def test_what_is_no_term_is_not(old, new) -> None:
    assert proposed((old, new)) == []


def test_the_most_often_corrected_comes_first_with_what_it_was_taken_for() -> None:
    pairs = [("a dracula", "a Drascula"), ("a sorber", "a Zorba"), ("a draskula", "a Drascula")]
    first, second = proposed(*pairs, ("a dracula", "a drascula"))
    assert first == Proposal("Drascula", 3, ("dracula", "draskula"))
    assert (second.term, second.times) == ("Zorba", 1)


@pytest.fixture
def mended(tmp_path, monkeypatch) -> None:
    """What `serve` kept, and a reviewed manifest."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"audio_filepath": "a.wav", "text": "A Drascula.", "heard": "A dracula."},
        {"audio_filepath": "b.wav", "text": "as it was heard"},
        {"audio_filepath": "c.wav", "text": "words", "heard": 3},
    ]
    Path("kept").mkdir()
    Path("kept/manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nnot JSON\n")
    row = {"audio_filepath": "d.wav", "transcript": "My Floda?", "original_text": "my floater"}
    Path("reviewed.jsonl").write_text(json.dumps(row))


def test_a_list_is_written_that_a_run_takes(mended, capsys) -> None:
    assert main(["terms", "kept", "reviewed.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "written: terms.txt, 2 terms in 2 corrected texts" in out
    assert [(t.text, t.spellings) for t in read_key_terms(Path("terms.txt"))] == [
        ("Drascula", ("dracula",)),
        ("Floda", ("floater",)),
    ]
    assert main(["terms", "kept"]) == 2  # what was looked through is not written over
    assert "terms.txt: is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name what was corrected: moontune terms kept"),
        (["gone"], "gone: no such manifest"),
        (["empty"], "empty: holds no manifest.jsonl or reviewed.jsonl"),
        (["kept", "--output", "kept"], "is a folder; name a file"),
        (["kept", "--language", "ja"], "Japanese has no spaces between words"),
        (["plain.jsonl"], "no terms in 0 corrected texts of plain.jsonl"),
    ],
)
def test_what_cannot_be_is_a_line(mended, capsys, words, told) -> None:
    Path("empty").mkdir()
    Path("plain.jsonl").write_text('{"audio_filepath": "a.wav", "text": "words"}\n')
    assert main(["terms", *words]) == 2
    err = capsys.readouterr().err.strip()
    assert told in err
    assert "\n" not in err
    assert not Path("terms.txt").exists()


def test_what_is_no_manifest_is_not_read_as_one_without_corrections(tmp_path, capsys) -> None:
    (tmp_path / "kept.csv").write_text("file,text\na.wav,So it is.\n")
    assert main(["terms", str(tmp_path / "kept.csv"), "--output", str(tmp_path / "t.txt")]) == 2
    assert "kept.csv: is no manifest" in capsys.readouterr().err
    assert not (tmp_path / "t.txt").exists()
