"""Key terms: the list, and where they are said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm, places_of, read_key_terms, sound_of, term_of
from moontune.errors import UserError


def said(text: str, term: str) -> int:
    return len(places_of(normalize(text).split(), sound_of(term)))


@pytest.mark.parametrize(
    ("text", "term", "times"),
    [
        ("I met drascula, and DRASCULA's friend.", "Drascula", 2),
        ("The air craft is a plane; the aircraft flies.", "aircraft", 2),
        ("Buy a T-shirt, two t shirts and a tshirt.", "T-shirt", 2),
        ("Flight a 320 and the A320.", "A320", 2),
        ("We fly the A three twenty.", "A320", 1),
        ("Draculas are not it.", "Dracula", 0),
        ("It is O'Brien's, Obrien said.", "O'Brien", 1),
        ("new york, New York, york new", "New York", 2),
        ("banana nana", "nana", 1),
        ("a a a", "a a", 1),
        ("", "word", 0),
    ],
)
def test_terms_are_found_by_sound_at_the_edges_of_words(text: str, term: str, times: int) -> None:
    assert said(text, term) == times


def test_a_list_has_spellings_and_weights(tmp_path: Path) -> None:
    file = tmp_path / "terms.txt"
    file.write_text(
        "# names\n\nDrascula | drac ula, dracoola\nA320|a three twenty| 0.5\n Anna   Ek \n"
        "Lisbon || 2\n",
        encoding="utf-8",
    )
    assert read_key_terms(file) == (
        KeyTerm("Drascula", ("drac ula", "dracoola")),
        KeyTerm("A320", ("a three twenty",), 0.5),
        KeyTerm("Anna Ek"),
        KeyTerm("Lisbon", (), 2.0),
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("| x", "holds no word"),
        ("...", "holds no word"),
        ("a | b | c | d", "has 3 of |"),
        ("a | b | heavy", "weight 'heavy' is not a number from 0 to 5"),
        ("a | b | nan", "weight 'nan'"),
        ("a | b | -1", "weight '-1'"),
        ("a | !? ", "sounds like nothing"),
        ("x" * 81, "longer than 80 characters"),
    ],
)
def test_a_line_that_is_not_understood_is_told_with_its_number(
    tmp_path: Path, line: str, says: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        term_of(line)
    (tmp_path / "t.txt").write_text(f"First\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError) as told:
        read_key_terms(tmp_path / "t.txt")
    assert "t.txt:2: " in str(told.value)
    assert says in str(told.value)
    assert str(told.value).startswith("--key-terms ")
    assert "\n" not in str(told.value)


def test_two_terms_of_one_sound_cannot_be_told_apart(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("T-shirt\nt shirt\n", encoding="utf-8")
    with pytest.raises(UserError, match="t shirt sounds like T-shirt above"):
        read_key_terms(tmp_path / "t.txt")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("names.xlsx", b"PK\x03\x04\x14\x00\xff\x00", "looks like a zip archive, a Word file or a"),
        ("names.csv", b"term,weight\nDrascula,2\n", "looks like a CSV table (first line: term, w"),
        ("names.tsv", b"\n\nterm\tweight\nDrascula\t2\n", "looks like a TSV table"),
        ("names.txt", b"Caf\xe9\n", "is not UTF-8 text; save it as plain text in UTF-8"),
    ],
)
def test_a_table_is_no_list_of_terms(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(told)):
        read_key_terms(tmp_path / name, "--key-terms")


def test_a_list_of_one_column_is_one_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("Drascula\nAnna Ek\n")
    terms = read_key_terms(tmp_path / "names.csv", "--key-terms")
    assert [term.text for term in terms] == ["Drascula", "Anna Ek"]
