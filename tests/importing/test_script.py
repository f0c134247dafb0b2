"""Long recordings with a script and no times: aligned, and cut where the two agree."""

from __future__ import annotations

import json
from pathlib import Path

import docx
import numpy as np
import pytest
from imports import run_import, sound, write

from moontune.data.audio import SAMPLE_RATE_HZ, read_audio
from moontune.data.manifest import Dropped, read_manifest
from moontune.errors import UserError
from moontune.importing.audio_files import AudioFinder
from moontune.importing.data_set import MANIFEST
from moontune.importing.script.alignment import align
from moontune.importing.script.anchors import anchors, bands
from moontune.importing.script.cutting import FOREIGN, NOT_SPOKEN, UNSURE
from moontune.importing.script.listening import Listener
from moontune.importing.script.passages import cut_up
from moontune.importing.script.reading import script_lines
from moontune.importing.script.words import script_of, sound_of
from moontune.importing.timed.cutting import rows_of
from moontune.importing.timed.otranscribe import OTRANSCRIBE
from moontune.importing.values import Piece, Place, SourceRow
from moontune.system.files import read_jsonl

SAID = (
    "The red boat sails home before the storm.",
    "A cold wind blows from the north tonight.",
    "Seven birds sing at dawn in the garden.",
    "Nobody remembers where the old key was hidden.",
    "My grandmother keeps her letters under the bed.",
    "We walked along the river until it was dark.",
)


def pieces_of(*heard: str) -> list[Piece]:
    """Pieces of three seconds, with pauses of half a second."""
    return [Piece(3.5 * i + 0.5, 3.5 * i + 3.5, text) for i, text in enumerate(heard)]


def cut(heard: tuple[str, ...], lines: tuple[str, ...], longest_s: float = 15.0) -> list[str]:
    """The clips' texts."""
    script = script_of(list(enumerate(lines, start=1)))
    found = cut_up(pieces_of(*heard), script, longest_s)
    return [script.text(one.first, one.end) for one in found if one.reason is None]


def reasons(heard: tuple[str, ...], lines: tuple[str, ...]) -> list[str]:
    script = script_of(list(enumerate(lines, start=1)))
    return [one.reason or "" for one in cut_up(pieces_of(*heard), script, 15.0)]


def test_what_is_said_as_it_is_written_is_cut_sentence_by_sentence() -> None:
    assert cut(SAID, SAID) == list(SAID)
    assert cut(SAID, (" ".join(SAID),)) == list(SAID)


def test_a_clip_has_the_scripts_spelling_case_and_marks() -> None:
    heard = ("the colour of it was 21 grey", "doctor smith said it is")
    lines = ("The color of it — was 21: GREY!", 'Dr. Smith said "It\'s..."')
    assert cut(heard, lines) == list(lines)


def test_misheard_words_do_not_cost_a_clip() -> None:
    heard = ("the read boat sale home before storm", "a gold winned blows from the north to night")
    assert cut((*heard, *SAID[2:]), SAID) == list(SAID)


@pytest.mark.parametrize("gone", range(6))
def test_a_sentence_that_was_skipped_is_in_no_clip(gone: int) -> None:
    rest = SAID[:gone] + SAID[gone + 1 :]
    assert cut(rest, SAID) == list(rest)


@pytest.mark.parametrize("at", range(7))
def test_a_sentence_that_is_not_in_the_script_is_in_no_clip(at: int) -> None:
    heard = (*SAID[:at], "Could somebody please close that window over there?", *SAID[at:])
    assert cut(heard, SAID) == list(SAID)
    assert reasons(heard, SAID).index(FOREIGN) == at


def test_a_foreign_sentence_in_the_place_of_a_skipped_one_gets_no_words_of_it() -> None:
    heard = (*SAID[:2], "Could somebody please close that window over there?", *SAID[3:])
    assert cut(heard, SAID) == [*SAID[:2], *SAID[3:]]


def test_of_a_sentence_that_was_said_twice_neither_is_doubtfully_taken() -> None:
    """The script has it once: the clips around it stay, with their own words."""
    texts = cut((*SAID[:3], SAID[2], *SAID[3:]), SAID)
    assert [text for text in texts if text != SAID[2]] == [*SAID[:2], *SAID[3:]]
    assert texts.count(SAID[2]) <= 1


def test_a_sentence_that_the_script_repeats_is_found_each_time() -> None:
    lines = (SAID[0], SAID[1], SAID[0], SAID[2], SAID[1], SAID[0])
    assert cut(lines, lines) == list(lines)


def test_words_said_again_within_a_clip_cost_it() -> None:
    heard = (SAID[0], f"A cold wind blows no sorry {SAID[1]}", SAID[2])
    assert cut(heard, SAID[:3]) == [SAID[0], SAID[2]]
    assert UNSURE in reasons(heard, SAID[:3])


def test_what_sounds_too_little_like_its_words_is_left_out() -> None:
    heard = (SAID[0], "a gull when those from enough at noon", SAID[2])
    assert cut(heard, SAID[:3]) == [SAID[0], SAID[2]]


def test_a_pause_within_a_sentence_is_no_boundary_where_the_clip_is_short_enough() -> None:
    heard = ("The red boat sails", "home before the storm.", SAID[1])
    assert cut(heard, SAID[:2]) == [SAID[0], SAID[1]]
    assert cut(heard, SAID[:2], 4.0) == ["The red boat sails", "home before the storm.", SAID[1]]


def test_an_edge_that_may_be_elsewhere_is_not_cut_at() -> None:
    """What was heard of the word at the edge belongs as well to the next piece."""
    heard = (*SAID[:2], "seven birds sing at dawn in the", "nobody remembers where", SAID[4])
    lines = (*SAID[:2], "Seven birds sing at dawn in the", "us nobody remembers where", SAID[4])
    texts = cut(heard, lines)
    assert "Seven birds sing at dawn in the us" not in texts
    assert all(text in " ".join(lines) for text in texts)


def test_another_language_gives_no_clip() -> None:
    german = (
        "Gestern Abend regnete es bis tief in die Nacht.",
        "Der Hund schlief unter dem Tisch.",
    )
    assert cut(SAID, german) == []


def test_nothing_heard_or_nothing_written() -> None:
    assert cut((), SAID) == []
    assert cut(("", ""), SAID) == []
    assert align([["a"]], script_of([(1, "...")]))[0].foreign


def long_talk(words: int) -> list[str]:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    known = ["".join(rng.choice(letters, size=rng.integers(2, 9))) for _ in range(2000)]
    return [known[i] for i in rng.integers(0, len(known), words)]


def test_a_long_talk_is_looked_at_near_its_anchors_alone() -> None:
    said = long_talk(6000)
    heard = [word if i % 6 else f"{word}x" for i, word in enumerate(said)]
    del heard[2000:2300]
    found = anchors(heard, said)
    assert all(heard[a : a + 4] == said[b : b + 4] for a, b in found)
    assert found == sorted(found, key=lambda pair: pair[1])
    pieces = [heard[i : i + 10] for i in range(0, len(heard), 10)]
    limits = bands(pieces, said)
    assert max(last - first for first, last in limits) < 500
    aligned = align(pieces, script_of([(1, " ".join(said))]))
    right = [(one.first, one.end) == (10 * i, 10 * i + 10) for i, one in enumerate(aligned[:200])]
    assert sum(right) > 190
    assert [one.first for one in aligned[205:]] == list(range(2350, 6000, 10))


def test_anchors_that_nothing_near_supports_are_not_believed() -> None:
    said = long_talk(400)
    heard = [*said[:100], *said[300:304], *said[100:200]]
    assert all(a == b or a == b + 4 for a, b in anchors(heard, said))


def test_scripts_are_read_without_what_is_not_said(tmp_path: Path) -> None:
    markdown = tmp_path / "a.md"
    markdown.write_text(
        "---\ntitle: Boats\n---\n# One *red* boat\n\nANNA: It **sails** home. [laughs]\n"
        "BEN: See [the map](http://x.y/z).\nANNA: Where?\n```\ncode = 1\n```\n---\n> 1. Here.\n"
        "<!-- not\nthis -->\nANNA: (applause) Yes.\n"
    )
    assert [line for _, line in script_lines(markdown)] == [
        "One red boat", "It sails home.", "See the map.", "Where?", "Here.", "Yes.",
    ]  # fmt: skip
    document = docx.Document()
    for text in ("A heading", "", "[music] The red boat."):
        document.add_paragraph(text)
    document.save(str(tmp_path / "b.docx"))
    assert script_lines(tmp_path / "b.docx") == [(1, "A heading"), (3, "The red boat.")]
    (tmp_path / "c.docx").write_bytes(b"PK\3\4 no more")
    with pytest.raises(UserError, match=r"c\.docx: cannot be read as a Word file"):
        script_lines(tmp_path / "c.docx")


def talk(folder: Path, heard: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of as many bursts of noise as pieces, and ears that hear these words in it."""
    pieces = pieces_of(*heard)
    seconds = max(31.0, pieces[-1].end_s + 1)  # more than a run takes in one clip
    samples = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    rng = np.random.default_rng(0)
    for piece in pieces:
        at, end = (round(s * SAMPLE_RATE_HZ) for s in (piece.start_s, piece.end_s))
        samples[at:end] = rng.uniform(-0.3, 0.3, end - at)
    monkeypatch.setattr(Listener, "hear", lambda self, recording, longest_s: pieces)
    monkeypatch.setattr(Listener, "fits", lambda self, recording, guesses: [])
    return write(folder / "talk.wav", samples)


def test_a_folder_with_a_talk_and_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = (*SAID[:2], "Could somebody please close that window?", *SAID[2:4], *SAID[5:])
    talk(tmp_path / "d", heard, monkeypatch)
    (tmp_path / "d/talk.txt").write_text("\n".join(SAID))
    result = run_import(tmp_path / "d", output=tmp_path / "out")
    assert result.texts == [*SAID[:4], SAID[5]]
    assert result.reasons == [
        ("talk.wav:7.50-10.50", FOREIGN),
        ("talk.txt:5", NOT_SPOKEN),
    ]
    for u, begin in zip(result.rows, (0.5, 4.0, 11.0, 14.5, 18.0), strict=True):
        samples = result.sounds[result.rows.index(u)]
        loud = np.abs(samples) > 0
        assert loud.sum() == pytest.approx(3 * SAMPLE_RATE_HZ, abs=400), begin
        assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(3.2, abs=0.05)
    rows = read_jsonl(result.folder / MANIFEST)
    assert (rows[0]["where"], rows[0]["confidence"]) == ("talk.txt:1", "1.00")


def test_a_talk_and_a_script_of_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = talk(tmp_path, SAID, monkeypatch)
    script = tmp_path / "texts/version 2.md"
    script.parent.mkdir()
    script.write_text("\n\n".join(SAID))
    result = run_import(recording, script, output=tmp_path / "out")
    assert result.texts == list(SAID)
    assert read_jsonl(result.folder / MANIFEST)[0]["where"] == "version 2.md:1"
    (tmp_path / "talk.txt").write_text("\n".join(SAID[:3]))
    for number, one in enumerate((tmp_path / "talk.wav", tmp_path / "talk.txt")):
        alone = run_import(one, output=tmp_path / f"alone{number}", link=True)
        assert alone.texts == list(SAID[:3])


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (" \n\n", "the script is empty"),
        (
            "Gestern Abend regnete es bis tief in die Nacht.",
            "hardly anything of the script is heard",
        ),
    ],
)
def test_a_script_that_is_none_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    recording = talk(tmp_path, SAID, monkeypatch)
    (tmp_path / "talk.txt").write_text(script)
    with pytest.raises(UserError, match=says) as told:
        run_import(recording, tmp_path / "talk.txt", output=tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_what_a_foreign_piece_may_have_said_is_not_given_to_its_neighbour() -> None:
    """`Hey you!` was said and not understood; it is much like the words after it."""
    heard = (SAID[0], "", "Hey, where are you?", SAID[1])
    texts = cut(heard, (SAID[0], "HEY YOU!", "HEY WEREWOLF,", SAID[1]))
    assert not [text for text in texts if "HEY YOU" in text]


SHARED = Path(__file__).resolve().parents[3] / "shared"


def otr(parts: list[tuple[float, str]]) -> str:
    """What oTranscribe writes."""
    text = "".join(
        f'<p><span class="timestamp" data-timestamp="{time}">0:00</span>{said}</p>'
        for time, said in parts
    )
    return json.dumps({"text": text, "media": "talk.wav"})


def test_a_text_that_is_too_long_up_to_the_next_time_is_cut_by_ear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time at the begin, and one before the last sentence, which is cut by that."""
    talk(tmp_path / "d", SAID, monkeypatch)
    first = "<br>".join(
        f"{who}: {text}" for who, text in zip(("Ann", "Bob") * 2 + ("Ann",), SAID[:5], strict=True)
    )
    (tmp_path / "d/talk.otr").write_text(otr([(0.2, first), (17.8, SAID[5])]))
    result = run_import(tmp_path / "d", output=tmp_path / "out", link=True)
    assert result.texts == list(SAID)
    for i, u in enumerate(result.rows):
        assert (u.offset or 0) <= 3.5 * i + 0.5
        assert (u.offset or 0) + (u.duration or 0) >= 3.5 * i + 3.5
    rows = read_jsonl(result.folder / MANIFEST)
    assert [row["where"] for row in rows] == ["talk.otr:time 1"] * 5 + ["talk.otr:time 2"]
    assert len({u.id for u in result.rows}) == len(SAID)
    assert not result.left_out


def test_a_run_hears_no_text_that_is_too_long_and_says_who_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(tmp_path / "d", SAID, monkeypatch)
    (tmp_path / "d/talk.otr").write_text(otr([(0.2, " ".join(SAID[:5])), (17.8, SAID[5])]))
    place = Place(tmp_path / "d/talk.otr", tmp_path / "d", AudioFinder(tmp_path / "d"), 15.0)
    lost, taken = rows_of(OTRANSCRIBE, place)
    assert isinstance(lost, Dropped)
    assert lost.reason == "too long"
    assert "`moontune import` hears where it can be cut" in lost.detail
    assert isinstance(taken, SourceRow)
    assert taken.text == SAID[5]


def test_without_a_base_a_text_that_is_too_long_is_left_out_with_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(tmp_path / "d", SAID, monkeypatch)

    def hear(self: Listener, recording: Path, longest_s: float) -> list[Piece]:
        raise UserError("--model-id x: no such base")

    monkeypatch.setattr(Listener, "hear", hear)
    (tmp_path / "d/talk.otr").write_text(otr([(0.2, " ".join(SAID[:5])), (17.8, SAID[5])]))
    result = run_import(tmp_path / "d", output=tmp_path / "out")
    assert result.texts == [SAID[5]]
    assert "no such base" in result.left_out[0]["detail"]


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "models/moonshine-tiny").is_dir(), reason="no ../shared")
def test_real_speech_is_cut_with_its_own_words(tmp_path: Path) -> None:
    said = read_manifest(SHARED / "data/adventure_game/manifest.jsonl")[0][100:130]
    parts = [np.zeros(SAMPLE_RATE_HZ // 2, np.float32)]
    for u in said:
        parts += [read_audio(u.audio), np.zeros(SAMPLE_RATE_HZ // 2, np.float32)]
    write(tmp_path / "talk.wav", np.concatenate(parts))
    (tmp_path / "talk.txt").write_text("\n".join(u.text for u in said), encoding="utf-8")
    model = str(SHARED / "models/moonshine-tiny")
    result = run_import(tmp_path / "talk.txt", output=tmp_path / "out", model_id=model)
    whole = " ".join(" ".join(u.text.split()) for u in said)
    assert all(text in whole for text in result.texts)
    assert len({u.text for u in said} & set(result.texts)) > 0.85 * len(said)


def test_sounds_are_compared_as_wer_is_scored() -> None:
    assert [sound_of(word) for word in ("Isn't", "(x)", "Um,", "COLOUR!", "Dr.")] == [
        "isnot", "", "", "color", "doctor",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        "{0}\n{1}\n",
        "Ann Lee  {0}\n{1}\n\n",
        "Speaker 1 ({0}):\n{1}\n",
        "[{0}] {1}\n",
        "{0} - {1}\n",
        "[{0}.100 --> {0}.900]  {1}\n",
    ],
)
def test_times_that_others_write_before_what_is_said_are_not_said(
    tmp_path: Path, form: str
) -> None:
    said = ["The red boat sails.", "We meet at 10:30.", "1:15 is too late"]
    times = ("0:04", "0:59", "1:02:03")
    text = "".join(form.format(*pair) for pair in zip(times, said, strict=True))
    (tmp_path / "a.txt").write_text(text)
    assert [line for _, line in script_lines(tmp_path / "a.txt")] == said
    for seconds, there in ((5.0, True), (0.4, False)):  # behind its end they may be said
        write(tmp_path / "in/a.wav", sound(1, seconds))
        times = ("0:01", "0:02", "0:04")
        text = "".join(form.format(*pair) for pair in zip(times, said, strict=True))
        (tmp_path / "in/a.txt").write_text(text)
        if "-->" in form and not there:  # which nobody says
            with pytest.raises(UserError, match="has times in a form that is not read"):
                run_import(tmp_path / "in", output=tmp_path / "refused")
            continue
        result = run_import(tmp_path / "in", output=tmp_path / f"out{seconds:g}")
        assert (result.texts == [" ".join(said)]) == there
        line = "not said: 3 times on lines of 1 text"
        assert (f"  {line}" in result.told, line in result.imported.sources[0].taken_for) == (
            there, there,
        )  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        "Speaker 1 [00:00:0{0}]: {1}\n\n",  # Sonix
        "[00:00:0{0}.10] - Speaker 1\n{1}\n\n",  # Happy Scribe
        "{1} #00:00:0{0}-4#\n",  # F4, easytranscript
    ],
)
def test_times_and_people_of_programs_around_what_is_said(tmp_path: Path, form: str) -> None:
    write(tmp_path / "in/a.wav", sound(1, 12.0))
    text = "".join(form.format(i, said) for i, said in enumerate(SAID))
    (tmp_path / "in/a.txt").write_text(text)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [" ".join(SAID)]
    assert f"  not said: {len(SAID)} times on lines of 1 text" in result.told


@pytest.mark.parametrize(
    "form",
    [
        "Ann\t00:00:0{0}.500\t{0}.500\t{1}\n",  # ELAN's text
        "0:0{0}.0 - 0:0{0}.9\t{1}\tAnn\n",  # NVivo's
        "00:00:0{0}:12 - 00:00:0{0}:20\nSpeaker 1\n{1}\n\n",  # Premiere's
    ],
)
def test_a_text_with_times_of_another_form_is_left_out(tmp_path: Path, form: str) -> None:
    write(tmp_path / "in/a.wav", sound(1, 12.0))
    (tmp_path / "in/a.txt").write_text("".join(form.format(*pair) for pair in enumerate(SAID)))
    with pytest.raises(UserError, match="has times in a form that is not read; export it as SRT"):
        run_import(tmp_path / "in", output=tmp_path / "out")


@pytest.mark.parametrize(
    "head",
    [
        "",
        "Boats\nFri, Jun 07, 2024 2:06PM • 0:04\nSUMMARY KEYWORDS\nboat\nSPEAKERS\nAnn Lee\n\n",
    ],
)
@pytest.mark.parametrize("turns", [1, 2])
def test_what_otter_writes_around_a_short_text_is_not_said(
    tmp_path: Path, head: str, turns: int
) -> None:
    write(tmp_path / "in/a.wav", sound(1, 4.0))
    said = ["The red boat sails.", "We meet at 10:30."][:turns]
    whole = "".join(f"Ann Lee  0:0{i}  \n{text}\n\n" for i, text in enumerate(said))
    text = f"{head}{whole}Transcribed by https://otter.ai\n"
    (tmp_path / "in/a.txt").write_text(text)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [" ".join(said)]
    times = "1 time" if turns == 1 else "2 times"
    assert f"  not said: {times} on lines of 1 text" in result.told


def test_two_spaces_before_a_time_that_may_be_said_are_no_otters(tmp_path: Path) -> None:
    lines = ["The bus leaves.", "Leeds  0:02", "It is late."]
    for i, kept in enumerate((lines, lines[1:2], ["Leeds  0:09", "It is late."])):
        write(tmp_path / f"{i}/a.wav", sound(1, 4.0))
        (tmp_path / f"{i}/a.txt").write_text("\n".join(kept))
        result = run_import(tmp_path / f"{i}", output=tmp_path / f"out{i}")
        assert result.texts == [" ".join(" ".join(kept).split())]


@pytest.mark.parametrize(
    "lines",
    [
        ["8:15 the train leaves for York.", "9:20 the train leaves for Leeds."],
        ["Romans 8:28", "And we know.", "Romans 12:02", "Be not conformed."],
        ["Meeting 10:30", "We talk.", "Lunch 12:00", "We eat.", "Tea 16:00", "We drink."],
        ["7:30 get up", "8:00 breakfast", "9:00 school"],
    ],
)
def test_times_of_clocks_and_verses_are_said(tmp_path: Path, lines: list[str]) -> None:
    write(tmp_path / "a.wav", sound(1, 8.0))
    (tmp_path / "a.txt").write_text("\n".join(lines))
    assert run_import(tmp_path).texts == [" ".join(lines)]


def test_times_that_are_said_stay(tmp_path: Path) -> None:
    said = ["10:30 is the time.", "It was 9:15", "It was 9:20", "It left.", "11:00 came.", "Oh."]
    (tmp_path / "a.txt").write_text("\n".join(said))
    assert [line for _, line in script_lines(tmp_path / "a.txt")] == said


@pytest.mark.parametrize(
    "lines",
    [
        ["It was 12:30:15 when", "we left at 12:31:00", "and came at 13:00:00"],
        ["John 3:16,17", "and 12:10,11", "and 20:11,4"],
    ],
)
def test_times_of_the_day_and_verses_are_said(tmp_path: Path, lines: list[str]) -> None:
    write(tmp_path / "in/a.wav", sound(1, 12.0))
    (tmp_path / "in/a.txt").write_text("\n".join(lines))
    assert run_import(tmp_path / "in", output=tmp_path / "out").texts == [" ".join(lines)]


@pytest.mark.parametrize("words", [("Ja", "Nein", "Doch"), ("да", "нет", "да")])
def test_a_short_line_behind_a_time_is_no_name(tmp_path: Path, words: tuple[str, ...]) -> None:
    write(tmp_path / "in/a.wav", sound(1, 12.0))
    text = "".join(f"[00:00:0{i}] {word}\nund so\n" for i, word in enumerate(words, 1))
    (tmp_path / "in/a.txt").write_text(text, encoding="utf-8")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [" ".join(f"{word} und so" for word in words)]


def test_a_word_file_of_a_table_alone_says_that_tables_are_not_read(tmp_path: Path) -> None:
    """As NVivo exports transcripts."""
    write(tmp_path / "in/a.wav", sound(1, 4.0))
    document = docx.Document()
    document.add_table(1, 1).rows[0].cells[0].text = SAID[0]
    document.save(str(tmp_path / "in/a.docx"))
    with pytest.raises(UserError, match=r"tables, which are not read; save it as \.txt or \.xlsx"):
        run_import(tmp_path / "in", output=tmp_path / "out")
