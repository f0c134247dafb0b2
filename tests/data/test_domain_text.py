"""Text of a user's domain: what is read of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from moontune.data.word_lists.domain_text import MOST_BYTES, read_domain_text, sentences_of
from moontune.errors import UserError

ROW = b'{"audio_filepath": "a.wav", "text": "Hoist the jib!"}\n'


def test_a_text_of_the_domain_may_be_a_manifest_too(tmp_path) -> None:
    plain = tmp_path / "domain.txt"
    plain.write_text("\ufeffHoist the jib! Let go,\nthe  anchor.\n\n - \n", encoding="utf-8")
    assert read_domain_text(plain) == ("Hoist the jib!", "Let go,", "the anchor.")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(
        '{"audio_filepath": "a.wav", "text": "Hoist  the jib!\\nLet go, men. Go."}\n'
    )
    assert read_domain_text(manifest) == ("Hoist the jib!", "Let go, men.", "Go.")


def test_a_copy_of_its_sentences_is_read_as_they_are(tmp_path) -> None:
    sentences = sentences_of("ID3 is Mr. Smith's.  RIFF!\u2028Well\u2026 yes\r\nand so on.\n\n")
    copy = tmp_path / "domain_text.txt"
    copy.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    assert len(sentences) == 6
    assert read_domain_text(copy) == sentences


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.txt", b"...\n!\n", "holds no word"),
        ("t.txt", b"", "holds no word"),
        ("t.txt", None, "cannot be read"),
        ("t.txt", b"\xff", "is not UTF-8 text"),
        ("t.png", b"\x89PNG\r\n\x1a\n\0", "looks like a picture; give text as it is spoken"),
        ("t.bin", b"mmap lm\0\1\2", "looks like a binary file"),
        ("t.html", b"<!DOCTYPE html>\n<p>Hoist", "looks like a web page"),
        ("t.arpa", b"\n\\data\\\nngram 1=3\n", "is a language model (ARPA); give the text"),
        ("t.txt", b"a " * (MOST_BYTES // 2 + 1), "is larger than 5 MB; cut it"),
        ("t.jsonl", None, "no such manifest; check the path"),
        ("t.jsonl", b"Hoist the jib.\n", "t.jsonl"),
        ("t.jsonl", ROW + b'{"text": 3}\n{}\n', "t.jsonl:2: no audio path; give one of"),
        ("t.jsonl", ROW + b'{"text": 3}\n{}\n', "correct or remove the row, as 1 more"),
        ("t.SRT", b"1\n00:00:01,000 --> 00:00:02,000\nHoist.\n", "is a table or subtitles; save"),
        ("t.csv", b"file,text\na.wav,Hoist the jib.\n", "is a table or subtitles; save"),
        (".", None, "is no file; give a text file, or a manifest (.jsonl)"),
    ],
)
def test_what_cannot_be_used_is_refused_by_the_flags_name(tmp_path, name, content, told) -> None:
    file: Path = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as found:
        read_domain_text(file)
    assert str(found.value).startswith(f"--domain-text {file}")
    assert told in str(found.value)
    assert "\n" not in str(found.value)
