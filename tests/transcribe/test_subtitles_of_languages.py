"""Subtitles where words are not separated, or are twice as wide, or run from the right."""

from __future__ import annotations

import pytest
from spoken import SPOKEN

from moontune.languages.table import Language, speaking
from moontune.languages.words import joined_words, written_words
from moontune.models.decoding import TimedWord
from moontune.transcribe.subtitles import LINE, WIDE_LINE, TimedText, cues, srt


@pytest.mark.parametrize("code", SPOKEN)
def test_lines_are_short_enough_and_say_it_all(code: str) -> None:
    with speaking(Language(code)):
        text = joined_words(SPOKEN[code])
        shown = cues([TimedText(text, [(0.0, 40.0)])])
        lines = [line for cue in shown for line in cue.lines]
        most = WIDE_LINE if code in ("ja", "zh") else 2 * WIDE_LINE if code == "ko" else LINE
        assert max(map(len, lines)) <= most
        assert all(1 <= len(cue.lines) <= 2 for cue in shown)
        assert joined_words(lines) == text
        assert all(line[0] not in "。、！？ー，" for line in lines)


def test_a_japanese_line_is_cut_behind_a_mark_and_not_within_a_word() -> None:
    with speaking(Language("ja")):
        [cue] = cues([TimedText("今日は天気がいいので、公園まで歩きます。", [(0.0, 4.0)])])
        assert cue.lines == ("今日は天気がいいので、", "公園まで歩きます。")
        assert "今日は天気がいいので、\n公園まで歩きます。" in srt([cue])


def test_times_of_characters_are_those_of_the_model() -> None:
    text = "駅は？はい。"
    with speaking(Language("ja")):
        assert len(written_words(text)) == 4
        words = [TimedWord(w, float(i), i + 0.4) for i, w in enumerate(written_words(text))]
        one, other = cues([TimedText(text, [(0.0, 4.0)], words)])
    assert (one.lines, one.start_ms) == (("駅は？",), 0)
    assert (other.lines, other.start_ms) == (("はい。",), 2000)
