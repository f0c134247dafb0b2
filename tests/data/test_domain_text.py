"""Text of a user's domain: what is read of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from moontune.data.word_lists.domain_text import MOST_BYTES, kept_domain_text, read_domain_text
from moontune.errors import UserError


def test_a_text_of_the_domain_may_be_a_manifest_too(tmp_path) -> None:
    plain = tmp_path / "domain.txt"
    plain.write_text("\ufeffHoist the jib! Let go,\nthe  anchor.\n\n - \n", encoding="utf-8")
    assert read_domain_text(plain) == ("Hoist the jib!", "Let go,", "the anchor.")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "a.wav", "text": "Hoist the jib!\\nLet go."}\n')
    assert read_domain_text(manifest) == ("Hoist the jib! Let go.",)


def test_a_copy_has_a_sentence_a_line_and_they_stay_whole(tmp_path) -> None:
    copy = tmp_path / "domain_text.txt"
    copy.write_text("Hoist the jib! Let go.\nYes\u2028\n", encoding="utf-8")
    assert kept_domain_text(copy, "the run's text") == ("Hoist the jib! Let go.", "Yes")
    copy.unlink()
    with pytest.raises(UserError, match=r"^the run's text .*domain_text\.txt: cannot be read"):
        kept_domain_text(copy, "the run's text")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.txt", b"...\n!\n", "holds no word"),
        ("t.txt", b"", "holds no word"),
        ("t.txt", None, "cannot be read"),
        ("t.txt", b"\xff", "is not UTF-8 text"),
        ("t.png", b"\x89PNG\r\n\x1a\n\0", "looks like a picture; give text as it is spoken"),
        ("t.bin", b"mmap lm\0\1\2", "looks like a binary file"),
        ("t.arpa", b"\n\\data\\\nngram 1=3\n", "is a language model (ARPA); give the text"),
        ("t.txt", b"a " * (MOST_BYTES // 2 + 1), "is larger than 5 MB; cut it"),
        ("t.jsonl", None, "no such manifest; check the path"),
        ("t.jsonl", b"Hoist the jib.\n", "t.jsonl"),
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
