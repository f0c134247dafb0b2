"""Own words and phrases, woven into sentences among the others."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from moontune.errors import UserError
from moontune.record.command import sentences_to_read
from moontune.record.terms import mixed_evenly, read_terms, sentences_of_terms

TERMS = ["iPhone", "Größe XL", "O'Brien & Sons", "{} braces", "kubectl", "Ada", "Bob", "Cy"]


def test_each_term_begins_a_sentence_stands_in_one_and_ends_one() -> None:
    sentences = sentences_of_terms(TERMS)
    assert len(sentences) == len(set(sentences)) == 3 * len(TERMS)
    for term in TERMS:
        of_it = [s for s in sentences if term in s]
        assert len(of_it) == 3
        assert sum(s.startswith(term) for s in of_it) == 1
        assert sum(s.rstrip(".?").endswith(term) for s in of_it) == 1


def test_every_term_comes_once_before_any_comes_again() -> None:
    sentences = sentences_of_terms(TERMS)
    for turn in range(3):
        part = sentences[turn * len(TERMS) :][: len(TERMS)]
        assert all(term in sentence for term, sentence in zip(TERMS, part, strict=True))


def test_they_are_spread_over_the_whole_list(tmp_path: Path) -> None:
    many, few = [f"m{i}" for i in range(100)], [f"f{i}" for i in range(10)]
    mixed = mixed_evenly(many, few)
    assert [s for s in mixed if s in many] == many
    places = [mixed.index(s) for s in few]
    assert {b - a for a, b in pairwise(places)} == {11}
    assert mixed_evenly(["a", "b"], ["b"]) == ["a", "b"]


def test_a_list_is_the_same_at_every_start(tmp_path: Path) -> None:
    file, prompts = tmp_path / "terms.txt", tmp_path / "p.txt"
    file.write_text("# mine\n\nKubernetes\n  Anna   Ek \nKubernetes\n", encoding="utf-8")
    prompts.write_text("One.\nTwo.\n")
    assert read_terms(file) == ["Kubernetes", "Anna Ek"]
    sentences = sentences_to_read(prompts, file)
    assert sentences == sentences_to_read(prompts, file)
    assert len(sentences) == 8
    assert len(sentences_to_read(None, file)) == len(sentences_to_read(None, None)) + 6


@pytest.mark.parametrize("content", ["", "# none\n", "x" * 81, "a\u202eb"])
def test_a_file_without_terms_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.txt").write_text(content, encoding="utf-8")
    for file in (tmp_path / "t.txt", tmp_path / "gone.txt", tmp_path):
        with pytest.raises(UserError, match="--terms"):
            read_terms(file)
