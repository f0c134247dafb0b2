"""Texts that a program wrote where there is none: left out, if they are no words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import noise
from imports import run_import

from moontune.config.schema import CleanConfig
from moontune.data.audio import write_flac
from moontune.data.cleaning import clean
from moontune.data.manifest import read_manifest
from moontune.data.rows.empty_texts import SPELLINGS, empty_spellings

SENTENCES = ["The red boat sails home.", "A cold wind blows north.", "Seven birds sing."]


def written(folder: Path, texts: list[str]) -> Path:
    rows = []
    for i, text in enumerate(texts):
        write_flac(folder / f"{i}.flac", noise(i, 1.0))
        rows.append({"audio_filepath": f"{i}.flac", "text": text, "speaker": text})
    file = folder / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.parametrize("empty", SPELLINGS)
def test_a_text_that_says_it_is_none_is_left_out_with_its_line(tmp_path: Path, empty: str) -> None:
    (tmp_path / "in").mkdir()
    file = written(tmp_path / "in", [*SENTENCES[:2], empty, SENTENCES[2]])
    utterances, bad = read_manifest(file)
    assert not bad
    assert utterances[2].speaker is None
    done = clean(utterances, CleanConfig())
    assert [u.text for u in done.utterances] == SENTENCES
    [dropped] = done.dropped
    assert (dropped.where, dropped.reason) == (f"{file}:3", "empty text")
    assert dropped.detail.startswith(f"the text is {empty}, which programs write")
    result = run_import(file, output=tmp_path / "out")
    assert result.texts == SENTENCES
    assert result.reasons == [("rows.jsonl:3", "no text")]


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["null", "eins", "zwei", "drei", "vier"], "null"),
        (["None", "Yes", "No", "All", "Some"], "None"),
        (["nan", "My nan bakes.", "Nan said so.", "Ask nan!", *SENTENCES], "nan"),
        (["None", "none of it", "None left.", "none, he said", *SENTENCES], "None"),
    ],
)
def test_a_word_that_is_said_elsewhere_is_a_text(texts: list[str], word: str) -> None:
    assert word not in empty_spellings(texts)


@pytest.mark.parametrize(
    ("texts", "empty"),
    [
        (["nan", "yes", "no", "stop"], "nan"),  # no command is called so
        (["None", "yes", "no", "stop"], "None"),  # of small letters
        (["NULL", "null", "eins", "zwei"], "NULL"),
        (["null", "你好。", "没有", "我们走吧。"], "null"),  # of no letters, small or large
        (["None", "你好。", "没有", "我们走吧。"], "None"),
        (["None", "None", "None", "none of it", "None left.", "none, he said"], "None"),
        (["nan", "nan bread", *SENTENCES], "nan"),
        (["None"], "None"),
    ],
)
def test_one_that_nobody_says_is_none(texts: list[str], empty: str) -> None:
    assert empty in empty_spellings(texts)
