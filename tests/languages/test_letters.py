"""What the letters of texts tell of their language, and what verbs make of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from builders import SENTENCES, noise
from spoken import SPOKEN

from moontune.cli.dispatch import main
from moontune.languages.letters import looks_like, unlike
from moontune.languages.table import Language, current, speaking
from moontune.languages.words import joined_lines
from moontune.models.locate import other_language, run_flags
from moontune.web import http_server
from moontune.web.next_training import NextTraining


@pytest.mark.parametrize("code", SPOKEN)
def test_the_vendors_languages_are_told_by_their_letters(code: str) -> None:
    expected = None if code == "es" else Language(code)
    assert looks_like(SPOKEN[code]) == expected
    with speaking(Language(code)):
        assert unlike(SPOKEN[code]) is None
    if expected is not None:
        assert f"the texts look like {expected.name}" in (unlike(SPOKEN[code]) or "")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" ".join(SENTENCES), None),
        ("Łódź, Škoda, déjà vu, größer, ășțâî", None),
        ("Сегодня хорошая погода, и мы идём в парк.", None),  # Russian
        ("امروز هوا خوب است و ما به پارک می‌رویم", None),  # Persian
        ("I met Mr. Dương today", None),
        ("Nguyễn Văn Thiệu and Trương Như Tảng met in Paris to talk about it", None),
        ("The Київ office is closed", None),
        ("Қазақ тілі мен әдебиеті", None),  # Kazakh
        ("東京タワー", "ja"),
        ("Windows 11を買った", "ja"),
        ("我用 iPhone 打 WhatsApp 电话", "zh"),
        ("I love 北京烤鸭", None),  # two words of each
        ("We had 北京烤鸭 at the 全聚德 in town", None),
        ("오늘 meeting에서 발표했어요", "ko"),
        ("Say 안녕하세요 to her", None),
        ("She said مرحبا to me", None),
        ("วันนี้อากาศดี", "th"),
        ("1234 ...", None),
        ("", None),
    ],
)
def test_letters_of_several_languages_tell_none(text: str, code: str | None) -> None:
    assert looks_like([text]) == (None if code is None else Language(code))


def test_texts_of_another_script_than_the_language_are_told() -> None:
    assert unlike(SENTENCES) is None
    assert "not in Latin letters" in (unlike(["Сегодня хорошая погода"]) or "")
    with speaking(Language("ar")):
        assert unlike(["1234", ""]) is None
        assert "in Latin letters" in (unlike(SENTENCES) or "")
    with speaking(Language("ja")):
        assert unlike(["東京都"]) is None  # a text of Han letters alone
        assert "look like Korean" in (unlike(SPOKEN["ko"]) or "")
    with speaking(Language("fa")):
        assert unlike(SPOKEN["ar"]) is None


def test_lines_are_joined_as_their_script_is_written() -> None:
    assert joined_lines(["すみません、駅", "", "はどこですか？"]) == "すみません、駅はどこですか？"
    assert joined_lines(["新しい Windows", "11 を買った"]) == "新しい Windows 11 を買った"
    assert joined_lines(["오늘은 날씨가", "좋아요"]) == "오늘은 날씨가 좋아요"
    assert joined_lines(["the word 日本", "means Japan"]) == "the word 日本 means Japan"
    assert joined_lines(["I love", "北京烤鸭"]) == "I love 北京烤鸭"


def subtitles(folder: Path, code: str) -> Path:
    folder.mkdir()
    soundfile.write(folder / "talk.wav", noise(1, 9.0), 16_000)
    one, two = SPOKEN[code][0], SPOKEN[code][1]
    cut = one.index("、") + 1 if "、" in one else one.index(" ")
    lines = [one[:cut], one[cut:].strip(), two]
    cues = [f"1\n00:00:00,500 --> 00:00:04,000\n{lines[0]}\n{lines[1]}\n"]
    cues.append(f"2\n00:00:05,500 --> 00:00:08,000\n{lines[2]}\n")
    (folder / "talk.srt").write_text("\n".join(cues), encoding="utf-8")
    return folder


@pytest.mark.parametrize("code", ["ja", "uk"])
def test_an_import_reads_the_language_off_the_texts_and_goes_on_with_its_base(
    tmp_path: Path, monkeypatch, capsys, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    subtitles(tmp_path / "in", code)
    assert main(["import", "in", "--output", "out"]) == 0
    said = capsys.readouterr().out
    base = f"UsefulSensors/moonshine-tiny-{code}"
    assert f"language: the texts look like {Language(code).name}" in said
    assert f"next: moontune run --manifest out/manifest.jsonl --model-id {base} --run" in said
    rows = Path("out/manifest.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row)["text"] for row in rows] == [*SPOKEN[code][:2]]
    assert main(["import", "in", "--output", "told", "--language", "fr"]) == 0
    said = capsys.readouterr().out
    assert "look like" not in said
    assert "--manifest told/manifest.jsonl --language fr --run-name" in said


def test_sentences_to_read_tell_the_language_of_a_recording(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr(
        http_server, "serve_at", lambda *_, **__: opened.append(current().code) or None
    )
    Path("mine.txt").write_text("\n".join(SPOKEN["ja"]), encoding="utf-8")
    words = ["record", "x", "--no-open-page", "--prompts", "mine.txt"]
    assert main(words) == 0
    assert "language: the sentences look like Japanese; --language" in capsys.readouterr().out
    assert main([*words, "--language", "ko"]) == 0
    said = capsys.readouterr().out
    assert "taken for Korean, and the texts look like Japanese; --language ja says so" in said
    assert main(words[:3]) == 0
    assert opened == ["ja", "ko", "en"]
    assert "language" not in capsys.readouterr().out


def test_what_is_recorded_in_a_language_trains_the_vendors_base_of_it() -> None:
    with speaking(Language("ja")):
        command = NextTraining([Path("mine.jsonl")]).command
        mine = NextTraining([Path("mine.jsonl")], "someone/my-base").command
    assert command.endswith("--manifest mine.jsonl --model-id UsefulSensors/moonshine-tiny-ja")
    assert mine.endswith("--model-id someone/my-base --language ja")
    assert run_flags(None, "en") == []
    assert run_flags(None, "fr") == ["--language", "fr"]
    assert run_flags("UsefulSensors/moonshine-base-ja", "ja") == [
        "--model-id",
        "UsefulSensors/moonshine-base-ja",
    ]


def test_a_base_of_another_language_is_told() -> None:
    says = "UsefulSensors/moonshine-tiny does not write Japanese, by its name"
    better = "--model-id UsefulSensors/moonshine-tiny-ja does"
    assert other_language("UsefulSensors/moonshine-tiny", "ja") == f"{says}: {better}"
    assert other_language("UsefulSensors/moonshine-tiny-ja", "ja") is None
    assert other_language("someone/my-base", "ja") is None


def test_files_are_scored_and_mended_words_listed_by_what_their_letters_tell(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"reference": s, "hypothesis": s[1:], "duration": 1.0} for s in SPOKEN["ja"]]
    Path("p.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert main(["score", "p.jsonl"]) == 0
    said = capsys.readouterr().out
    assert "language: the references look like Japanese; --language CODE says another" in said
    assert "CER" in said
    assert "WER" not in said
    assert main(["score", "p.jsonl", "--language", "en"]) == 0
    said = capsys.readouterr().out
    assert "WER" in said
    assert "taken for English, and the texts look like Japanese" in said
    kept = [{"audio_filepath": "a.wav", "text": s, "heard": s[1:]} for s in SPOKEN["ja"]]
    Path("manifest.jsonl").write_text("\n".join(map(json.dumps, kept)))
    assert main(["terms", "manifest.jsonl"]) == 2
    assert "Japanese has no spaces between words" in capsys.readouterr().err
