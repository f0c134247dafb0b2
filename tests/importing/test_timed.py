"""Long recordings with timed texts: what is cut, where, and what is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from imports import clips, run_import, write
from timed_talk import (
    LENGTH_S,
    SAID,
    WANTED,
    WHOLE,
    clock,
    cut_as_wanted,
    recording,
    speech,
    timed,
    words,
)

from moontune.data.audio import read_audio
from moontune.errors import UserError


def srt(*cues: tuple[float, float, str]) -> str:
    return "".join(
        f"{i}\n{clock(start)} --> {clock(end)}\n{text}\n\n"
        for i, (start, end, text) in enumerate(cues, 1)
    )


def vtt(*cues: tuple[float, float, str]) -> str:
    return "WEBVTT\n\nNOTE nothing\n\n" + "".join(
        f"{clock(start, '.')} --> {clock(end, '.')} align:left\n{text}\n\n"
        for start, end, text in cues
    )


def textgrid(*tiers: tuple[str, list[tuple[float, float, str]]]) -> str:
    lines = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0",
        f"xmax = {LENGTH_S}", "tiers? <exists>", f"size = {len(tiers)}", "item []:",
    ]  # fmt: skip
    for i, (name, entries) in enumerate(tiers, 1):
        filled: list[tuple[float, float, str]] = []
        at = 0.0
        for start, end, text in entries:
            filled += [(at, start, "")] if start > at else []
            filled.append((start, end, text))
            at = end
        filled.append((at, LENGTH_S, ""))
        lines += [
            f"    item [{i}]:", '        class = "IntervalTier"', f'        name = "{name}"',
            "        xmin = 0", f"        xmax = {LENGTH_S}",
            f"        intervals: size = {len(filled)}",
        ]  # fmt: skip
        for j, (start, end, text) in enumerate(filled, 1):
            quoted = text.replace('"', '""')
            lines += [
                f"        intervals [{j}]:", f"            xmin = {start}",
                f"            xmax = {end}", f'            text = "{quoted}"',
            ]  # fmt: skip
    return "\n".join(lines) + "\n"


def eaf(tiers: dict[str, list[tuple[float, float, str]]], media: str = "", head: str = "") -> str:
    slots, body, n = [], [], 0
    for tier, cues in tiers.items():
        below = ' PARENT_REF="ann"' if tier.startswith("translation") else ""
        body.append(f'<TIER LINGUISTIC_TYPE_REF="t" TIER_ID="{tier}"{below}>')
        for start, end, text in cues:
            n += 1
            slots += [
                f'<TIME_SLOT TIME_SLOT_ID="ts{2 * n}" TIME_VALUE="{round(start * 1000)}"/>',
                f'<TIME_SLOT TIME_SLOT_ID="ts{2 * n + 1}" TIME_VALUE="{round(end * 1000)}"/>',
            ]
            body.append(
                f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{n}" TIME_SLOT_REF1="ts{2 * n}"'
                f' TIME_SLOT_REF2="ts{2 * n + 1}"><ANNOTATION_VALUE>{text}</ANNOTATION_VALUE>'
                "</ALIGNABLE_ANNOTATION></ANNOTATION>"
            )
        body.append("</TIER>")
    described = f'<MEDIA_DESCRIPTOR MEDIA_URL="{media}" MIME_TYPE="audio/x-wav"/>' if media else ""
    schema = (
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="x"'
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<ANNOTATION_DOCUMENT AUTHOR="" {schema} '
        f'FORMAT="3.0" VERSION="3.0"><HEADER TIME_UNITS="milliseconds">{described}</HEADER>'
        f"<TIME_ORDER>{''.join(slots)}</TIME_ORDER>{''.join(body)}"
        '<LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/>'
        "</ANNOTATION_DOCUMENT>"
    )


def sources() -> dict[str, str]:
    cues = timed()
    whisper = {
        "text": "",
        "segments": [{"start": s, "end": e, "text": f" {t}"} for s, e, t in cues],
    }
    cpp = {"transcription": [
        {"offsets": {"from": round(s * 1000), "to": round(e * 1000)}, "text": t} for s, e, t in cues
    ]}  # fmt: skip
    chunks = {"chunks": [{"timestamp": [s, e], "text": t} for s, e, t in cues]}
    return {
        "talk.srt": srt(*cues),
        "talk.en.srt": srt(*cues).replace("\n", "\r\n"),
        "talk.vtt": vtt(*cues),
        "talk.TextGrid": textgrid(
            ("utterances", cues),
            ("phones", [(0.5, 0.7, "D")]),
            ("scene", [(0.0, 9.0, "At the quay")]),
        ),
        "talk.eaf": eaf({"ann": cues, "translation": [(0.5, 1.5, "Das rote Boot")]}),
        "talk.txt": "".join(f"{s}\t{e}\t{t}\n\\\t100\t200\n" for s, e, t in cues),
        "talk.json": json.dumps(whisper),
        "talk.tsv": "start\tend\ttext\n"
        + "".join(f"{round(1000 * s)}\t{round(1000 * e)}\t{t}\n" for s, e, t in cues),
        "talk.wav.json": json.dumps(whisper["segments"]),
        "whisper.cpp/talk.json": json.dumps(cpp),
        "transformers/talk.json": json.dumps(chunks),
        "all.stm": ";; a comment\n"
        + "".join(f"talk 1 ann {s} {e} <o,f0,male> {t}\n" for s, e, t in cues),
    }


@pytest.mark.parametrize("name", sources())
def test_each_kind_is_cut_into_the_same_sentences(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    samples = recording(file.parent)
    file.write_text(sources()[name], encoding="utf-8")
    before = file.read_bytes()
    result = run_import(file, output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    assert {dict(u.recorded)["recording"] for u in result.rows} == {"talk"}
    assert file.read_bytes() == before


@pytest.mark.parametrize("digits", [400, 5_000])
def test_a_time_of_very_many_digits_is_a_bad_row(tmp_path: Path, digits: int) -> None:
    recording(tmp_path)
    rows = f"0\t{'9' * digits}\tWhen?\n4500\t6000\t{SAID[2]}\n"
    (tmp_path / "talk.tsv").write_text(f"start\tend\ttext\n{rows}")
    result = run_import(tmp_path / "talk.tsv", output=tmp_path / "out")
    assert result.texts == [SAID[2]]
    assert len(result.left_out) == 1


def test_a_time_that_no_clock_has_is_a_bad_row(tmp_path: Path) -> None:
    recording(tmp_path)
    segments = [(0, int("9" * 400), "When?"), (4.5, 6.0, SAID[2])]
    rows = [{"start": s, "end": e, "text": t} for s, e, t in segments]
    (tmp_path / "talk.json").write_text(json.dumps({"segments": rows}))
    result = run_import(tmp_path / "talk.json", output=tmp_path / "out")
    assert result.texts == [SAID[2]]
    assert len(result.left_out) == 1


def test_words_are_joined_up_to_a_pause(tmp_path: Path) -> None:
    samples = recording(tmp_path)
    ctm = "".join(f"talk A {s:.3f} {e - s:.3f} {w} 0.9\n" for s, e, w in words())
    (tmp_path / "all.ctm").write_text(f";; all\n{ctm}talk A 12 0.1 <eps>\nbroken line\n")
    result = run_import(tmp_path / "all.ctm", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    assert [r for _, r in result.reasons] == ["bad row"]
    bare = ctm.replace("quay.", "quay")
    (tmp_path / "all.ctm").write_text(bare.replace("sing.", "sing").replace("north.", "north"))
    bare_texts = run_import(tmp_path / "all.ctm", output=tmp_path / "bare").texts
    assert bare_texts == [*(t[:-1] for t in WHOLE[:2]), "A cold wind", "blows north"]
    grid = textgrid(("words", words()), ("phones", [(0.5, 0.7, "D")]))
    (tmp_path / "talk.TextGrid").write_text(grid, encoding="utf-16")
    again = run_import(tmp_path / "talk.TextGrid", output=tmp_path / "again")
    assert tuple(again.texts) == WHOLE
    assert again.imported.sources[0].taken_for == ("tiers: words", "not used: phones")


@pytest.mark.parametrize("shift_s", [-0.2, -0.1, 0.1, 0.2])
def test_boundaries_move_into_the_pause_nearby(tmp_path: Path, shift_s: float) -> None:
    samples = recording(tmp_path)
    (tmp_path / "talk.srt").write_text(srt(*timed(shift_s)))
    result = run_import(tmp_path / "talk.srt", output=tmp_path / "out")
    for u, audio, (start, end) in zip(result.rows, result.sounds, WANTED, strict=True):
        places = np.lib.stride_tricks.sliding_window_view(samples, 64)
        [at] = np.flatnonzero((places == audio[:64]).all(axis=1))
        assert at / 16_000 <= start, u.text
        assert (at + len(audio)) / 16_000 >= end, u.text


def test_captions_that_meet_share_a_cut_in_the_pause(tmp_path: Path) -> None:
    samples = recording(tmp_path)
    cues = [(0.3, 3.6, "One sentence."), (3.6, 7.8, "Two sentences."), (7.8, 14.0, "Three.")]
    (tmp_path / "talk.srt").write_text(srt(*cues))
    result = run_import(tmp_path / "talk.srt", link=True, output=tmp_path / "out")
    ends = [(u.offset or 0.0) + (u.duration or 0.0) for u in result.rows]
    starts = [u.offset or 0.0 for u in result.rows]
    for end, start in zip(ends[:-1], starts[1:], strict=True):
        assert end <= start + 1e-6
        assert np.abs(samples[round(end * 16_000) : round(start * 16_000)]).max(initial=0) < 0.01
    assert [u.audio_filepath for u in result.rows] == [tmp_path / "talk.wav"] * 3
    for u, audio in zip(result.rows, result.sounds, strict=True):
        begin = round((u.offset or 0) * 16_000)
        np.testing.assert_array_equal(samples[begin : begin + len(audio)], audio)


def test_a_cut_between_words_that_meet_stays_where_it_is_quiet(tmp_path: Path) -> None:
    """The caption ends a tenth of a second inside the next one's first word."""
    spans = ((0.5, 2.0), (2.15, 4.0))
    samples = speech(spans, 5.0)
    write(tmp_path / "talk.wav", samples)
    (tmp_path / "talk.srt").write_text(srt((0.5, 2.25, "One here."), (2.25, 4.0, "Two there.")))
    result = run_import(tmp_path / "talk.srt", link=True, output=tmp_path / "out")
    one, two = result.rows
    assert 2.0 <= (one.offset or 0) + (one.duration or 0) <= 2.15
    assert 2.0 <= (two.offset or 0) <= 2.15


def test_what_cannot_be_cut_is_left_out_with_its_reason(tmp_path: Path) -> None:
    recording(tmp_path)
    cues = [
        (4.5, 6.0, "In the middle."),
        (0.5, 3.0, "Out of order."),  # times need not be in order
        (5.0, 5.5, "While another speaks."),
        (7.0, 7.5, ""),
        (8.0, 8.0, "No time."),
        (13.0, 16.5, "Beyond the end."),
        (30.0, 31.0, "Far beyond."),
        (8.0, 11.0, "Fine."),
    ]
    text = srt(*cues) + f"9\n{clock(8)} --> {clock(11)}\nFine.\n\n"
    (tmp_path / "talk.srt").write_text(text)
    result = run_import(tmp_path / "talk.srt", output=tmp_path / "out")
    assert result.texts == ["Out of order.", "Fine."]
    assert dict(result.imported.left_out) == {
        "overlapping": 2, "bad times": 3, "no text": 1, "listed twice": 1,
    }  # fmt: skip
    assert ("talk.srt:2", "overlapping") in result.reasons
    assert ("talk.srt:10", "overlapping") in result.reasons
    assert {row["where"].split(":")[0] for row in result.left_out} == {"talk.srt"}


def test_no_clip_is_longer_than_asked(tmp_path: Path) -> None:
    spans = tuple((i * 2.0 + 0.2, i * 2.0 + 1.8) for i in range(15))
    write(tmp_path / "talk.wav", speech(spans, 30.0))
    cues = [(s, e, f"part {i}{'.' if i % 4 == 3 else ''}") for i, (s, e) in enumerate(spans)]
    (tmp_path / "talk.srt").write_text(srt(*cues))
    for longest, wanted in ((3.0, 15), (5.0, 8), (15.0, 4)):
        output = tmp_path / f"out{longest}"
        result = run_import(tmp_path / "talk.srt", max_clip_s=longest, output=output)
        assert len(result.rows) == wanted
        assert max(u.duration or 0 for u in result.rows) <= longest + 0.5  # of pauses around
        assert " ".join(result.texts) == " ".join(text for *_, text in cues)
    (tmp_path / "talk.srt").write_text(srt((0.2, 29.0, "All of it in one."), (29.0, 29.8, "End.")))
    result = run_import(tmp_path / "talk.srt", output=tmp_path / "one")
    assert (result.texts, result.reasons) == (["End."], [("talk.srt:2", "too long")])


def test_voices_of_a_webvtt_and_whisperx_are_speakers(tmp_path: Path) -> None:
    recording(tmp_path)
    cues = timed()
    spoken = [
        (s, e, f"<v {'Ann B.' if i < 3 else 'Bob &amp; Co'}><i>{t}</i></v>")
        for i, (s, e, t) in enumerate(cues)
    ]
    (tmp_path / "talk.vtt").write_text(vtt(*spoken))
    result = run_import(tmp_path / "talk.vtt", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    assert [u.speaker for u in result.rows] == ["Ann B.", "Ann B.", "Bob & Co"]
    x = {"segments": [
        {"start": 0.0, "end": 3.9, "text": " The red boat.", "speaker": "SPEAKER_01",
         "words": [{"word": "The", "start": 0.5, "end": 0.8}, {"word": "red", "score": 0.1},
                   {"word": "boat.", "start": 1.9, "end": 3.0}]},
        {"start": 4.5, "end": 6.0, "text": "Two", "speaker": "SPEAKER_00"},
        {"start": 8.0, "end": 9.5, "text": "other people.", "speaker": "SPEAKER_01"},
    ]}  # fmt: skip
    (tmp_path / "talk.json").write_text(json.dumps(x))
    result = run_import(tmp_path / "talk.json", output=tmp_path / "x", link=True)
    assert [(u.text, u.speaker) for u in result.rows] == [
        ("The red boat.", "SPEAKER_01"), ("Two", "SPEAKER_00"), ("other people.", "SPEAKER_01"),
    ]  # fmt: skip
    assert 0.3 <= (result.rows[0].offset or 0) <= 0.5


def test_captions_that_roll_up_are_said_once(tmp_path: Path) -> None:
    """As YouTube writes them: each line again in the next cue, and alone for an instant."""
    samples = recording(tmp_path)
    lines = [(0.5, 1.5, "The red boat"), (1.9, 3.0, "sails home."), (4.5, 6.0, "Seven birds."),
             (8.0, 9.5, "A cold"), (10.0, 11.0, "wind.")]  # fmt: skip
    cues, last = [], " "
    for start, end, text in lines:
        timed_text = text.replace(" ", f"<{clock(start + 0.3, '.')}><c> ", 1) + "</c>"
        cues += [(start, end - 0.01, f"{last}\n{timed_text}"), (end - 0.01, end, text)]
        last = text
    (tmp_path / "talk.vtt").write_text(vtt(*cues))
    result = run_import(tmp_path / "talk.vtt", output=tmp_path / "out")
    assert result.texts == ["The red boat sails home.", "Seven birds.", "A cold wind."]
    cut_as_wanted(result, samples)


@pytest.mark.parametrize("gap", ["", "\n"])
def test_a_caption_that_is_shown_again_for_each_word_lasts_as_long_as_all(
    tmp_path: Path, gap: str
) -> None:
    """Whisper's `--highlight_words True`, of captions of one line and of two."""
    samples = recording(tmp_path / "in")
    cues = []
    for s, e, text in timed():
        parts = text.split()
        for i, (a, b, word) in enumerate(w for w in words() if s <= w[0] < e):
            shown = [*parts[:i], f"<u>{word}</u>", *parts[i + 1 :]]
            first, *rest = shown
            cues.append((a, b, f"{first}{gap or ' '}{' '.join(rest)}"))
    (tmp_path / "in/talk.srt").write_text(srt(*cues))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)


def test_a_long_segment_with_times_of_words_is_cut_between_them(tmp_path: Path) -> None:
    samples = recording(tmp_path)
    segment = {
        "start": 0.5, "end": 11.0, "text": " ".join(SAID),
        "words": [{"word": f" {w}", "start": s, "end": e} for s, e, w in words()],
    }  # fmt: skip
    (tmp_path / "talk.json").write_text(json.dumps({"segments": [segment]}))
    result = run_import(tmp_path / "talk.json", output=tmp_path / "out", max_clip_s=5)
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)


@pytest.mark.parametrize("unknown", [{}, {"start": None, "end": None}])
def test_a_word_without_times_at_a_segments_edge_is_in_its_clip(
    tmp_path: Path, unknown: dict
) -> None:
    """As whisperx leaves figures that it could not align."""
    samples = recording(tmp_path / "in")
    segments = []
    for s, e, text in timed():
        parts = [w for w in words() if s <= w[0] < e]
        spoken = [{"word": w, "start": a, "end": b} for a, b, w in parts]
        spoken[0] = spoken[-1] = {"word": "1984"} | unknown
        segments.append({"start": s, "end": e, "text": text, "words": spoken})
    (tmp_path / "in/talk.json").write_text(json.dumps({"segments": segments}))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)


def test_tiers_of_two_speakers_overlap_only_where_they_do(tmp_path: Path) -> None:
    recording(tmp_path)
    ann = [(0.5, 3.0, "Ann alone."), (8.0, 9.5, "Both at once.")]
    bob = [(4.5, 6.0, "Bob alone."), (9.0, 11.0, "At once.")]
    for name, content in (
        ("talk.TextGrid", textgrid(("Ann", ann), ("Bob", bob))),
        ("talk.eaf", eaf({"Ann": ann, "Bob": bob})),
    ):
        (tmp_path / name).write_text(content)
        result = run_import(tmp_path / name, output=tmp_path / f"{name}-out")
        assert [(u.text, u.speaker) for u in result.rows] == [
            ("Ann alone.", "Ann"), ("Bob alone.", "Bob"),
        ]  # fmt: skip
        assert [r for _, r in result.reasons] == ["overlapping"] * 2


def test_the_recording_is_what_the_source_names(tmp_path: Path) -> None:
    samples = recording(tmp_path, "field 1.wav")
    (tmp_path / "notes.eaf").write_text(
        eaf({"ann": timed()}, media="file:///C:/Users/ann/field%201.wav")
    )
    result = run_import(tmp_path / "notes.eaf", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    (tmp_path / "lost.srt").write_text(srt(*timed()))
    clips(tmp_path, "other.wav")
    with pytest.raises(UserError, match=r"no recording lost is beside it, such as lost\.wav"):
        run_import(tmp_path / "lost.srt", output=tmp_path / "none")


def test_a_folder_of_recordings_takes_one_text_for_each(tmp_path: Path) -> None:
    folder = tmp_path / "talks"
    samples = recording(folder)
    for name in ("talk.srt", "talk.vtt"):
        (folder / name).write_text(sources()[name])
    (folder / "talk.txt").write_text(" ".join(SAID))
    write(folder / "note.wav", samples[: 16_000 * 2])
    (folder / "note.txt").write_text("A note.")
    write(folder / "alone.wav", samples[: 16_000 * 2])
    result = run_import(folder)
    assert sorted(result.texts) == sorted([*WHOLE, "A note."])
    assert {f for s in result.imported.sources for f in s.formats} == {"vtt", "pairs"}
    assert sorted(result.reasons) == [
        ("alone.wav", "no text"), ("talk.srt", "another text"), ("talk.txt", "another text"),
    ]  # fmt: skip
    assert tuple(run_import(folder / "talk.wav", output=tmp_path / "o").texts) == WHOLE


def test_stretches_of_an_m4a_are_copied_though_links_are_asked(tmp_path: Path) -> None:
    """Each would be decoded from the file's beginning whenever it is heard."""
    import av

    samples = speech()
    with av.open(str(tmp_path / "talk.m4a"), "w", format="ipod") as file:
        track = file.add_stream("aac", rate=16_000, layout="mono")
        for at in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], "fltp", "mono")
            frame.sample_rate = 16_000
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
    (tmp_path / "talk.srt").write_text(srt(*timed()))
    result = run_import(tmp_path / "talk.srt", output=tmp_path / "out", link=True)
    assert tuple(result.texts) == WHOLE
    assert all(u.offset is None and u.audio_filepath.suffix == ".flac" for u in result.rows)
    assert "  copied, as it cannot be read from its middle: talk.m4a" in result.told
    whole = read_audio(tmp_path / "talk.m4a")
    for audio, (start, end) in zip(result.sounds, WANTED, strict=True):
        said = whole[round(16_000 * start) : round(16_000 * end)]
        match = np.correlate(audio, said, "valid")
        assert match.max() == pytest.approx(np.square(said).sum(), rel=0.01)


def test_stretches_of_a_joined_mp3_are_copied_too_and_those_of_a_plain_one_linked(
    tmp_path: Path,
) -> None:
    soundfile.write(tmp_path / "one.mp3", speech(), 16_000, format="MP3")
    data = (tmp_path / "one.mp3").read_bytes()
    (tmp_path / "joined.mp3").write_bytes(2 * data)
    for name, linked in (("one", True), ("joined", False)):
        (tmp_path / f"{name}.srt").write_text(srt(*timed()))
        result = run_import(tmp_path / f"{name}.srt", output=tmp_path / f"{name}-out", link=True)
        assert tuple(result.texts) == WHOLE
        assert all((u.offset is not None) == linked for u in result.rows)
        assert all((u.audio_filepath.suffix == ".mp3") == linked for u in result.rows)


def test_channels_of_a_call_are_its_speakers(tmp_path: Path) -> None:
    left, right = speech(((0.5, 2.0),), 5.0), speech(((2.5, 4.0),), 5.0)
    write(tmp_path / "call.wav", np.stack([left, right], axis=1))
    (tmp_path / "call.stm").write_text(
        "call 1 ann 0.5 2.0 red boat\ncall 2 bob 2.5 4.0 cold wind\n"
    )
    result = run_import(tmp_path / "call.stm", output=tmp_path / "out")
    assert [(u.text, u.speaker) for u in result.rows] == [("red boat", "ann"), ("cold wind", "bob")]
    whole = read_audio(tmp_path / "call.wav")
    assert len(result.sounds[0]) < len(whole)
    assert all(np.abs(audio).max() > 0.18 for audio in result.sounds)  # half of it, averaged
    linked = run_import(tmp_path / "call.stm", output=tmp_path / "linked", link=True)
    assert [u.channel for u in linked.rows] == [0, 1]
    for one, other in zip(linked.sounds, result.sounds, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_segment_without_a_text_is_no_word_none(tmp_path: Path) -> None:
    clips(tmp_path / "d", "a.wav")
    segments = [{"start": 0.0, "end": 0.2, "text": None}, {"start": 0.2, "end": 0.4, "text": "A."}]
    (tmp_path / "d/a.json").write_text(json.dumps({"segments": segments}))
    result = run_import(tmp_path / "d")
    assert result.texts == ["A."]
    assert result.reasons == [("a.json:segment 1", "no text")]


@pytest.mark.parametrize(
    ("name", "content"), [("talk.transcript.vtt", vtt(*timed())), ("Label Track.txt", None)]
)
def test_the_only_text_is_of_the_only_recording(
    tmp_path: Path, name: str, content: str | None
) -> None:
    samples = recording(tmp_path / "in")
    labels = "".join(f"{s}\t{e}\t{text}\n" for s, e, text in timed())
    (tmp_path / "in" / name).write_text(content or labels)
    for i, sources in enumerate(([""], [name], ["talk.wav", name])):
        paths = [tmp_path / "in" / source for source in sources]
        result = run_import(*paths, output=tmp_path / f"out{i}")
        assert tuple(result.texts) == WHOLE
        cut_as_wanted(result, samples)
        said = 'recording: "talk.wav", the only one beside it'
        assert said in result.imported.sources[0].taken_for


def test_texts_of_several_kinds_are_of_the_only_recording(tmp_path: Path) -> None:
    """As YouTube gives captions for download, and one that only newer versions read."""
    source = tmp_path / "in"
    samples = recording(source)
    (source / "captions.srt").write_text(srt(*timed()))
    of_sbv = [f"{clock(s, '.')},{clock(e, '.')}\n{t}\n" for s, e, t in timed()]
    (source / "captions.sbv").write_text("\n".join(of_sbv))
    rows = [{"word": t, "start": s, "end": e} for s, e, t in words()]
    document = {"results": {"channels": [{"alternatives": [{"words": rows}]}]}}
    (source / "response.json").write_text(json.dumps(document))
    for name in ("", "captions.srt"):
        result = run_import(source / name, output=tmp_path / f"out{name}")
        assert tuple(result.texts) == WHOLE
        cut_as_wanted(result, samples)
        assert result.imported.sources[0].formats == ("srt",)
    (source / "second.srt").write_text(srt(*timed()))  # which of the two is not known
    with pytest.raises(UserError, match=r"captions\.srt has times, and no recording captions is"):
        run_import(source, output=tmp_path / "none")


def test_subtitles_are_taken_before_the_json_of_a_service(tmp_path: Path) -> None:
    """They may be its text as somebody corrected it; and it is read only since it is known."""
    recording(tmp_path / "in")
    (tmp_path / "in/talk.srt").write_text(srt(*timed()))
    rows = [{"word": f"um {t}", "start": s, "end": e} for s, e, t in words()]
    document = {"results": {"channels": [{"alternatives": [{"words": rows}]}]}}
    (tmp_path / "in/talk.json").write_text(json.dumps(document))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    assert result.reasons == [("talk.json", "another text")]


@pytest.mark.parametrize(("content", "count"), [("<tt><body/></tt>\n", 1), (" \n", 0)])
def test_an_srt_that_is_something_else_is_not_passed_over(
    tmp_path: Path, content: str, count: int
) -> None:
    """An empty one is what Whisper writes where nobody speaks."""
    for name in ("talk", "other"):
        recording(tmp_path / "in", f"{name}.wav")
    (tmp_path / "in/talk.srt").write_text(srt(*timed()))
    (tmp_path / "in/other.srt").write_text(content)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    assert result.reasons == [("other.srt", "bad row")] * count


def test_a_text_whose_recording_is_not_known_is_left_out(tmp_path: Path) -> None:
    recording(tmp_path)
    (tmp_path / "talk.srt").write_text(srt(*timed()))
    (tmp_path / "second.srt").write_text(srt(*timed()))
    result = run_import(tmp_path, output=tmp_path.parent / "out")
    assert tuple(result.texts) == WHOLE
    assert result.reasons == [("second.srt", "no audio")]


def test_a_recording_with_a_text_of_its_own_is_not_cut_by_another(tmp_path: Path) -> None:
    source = tmp_path / "in"
    recording(source)
    for name in ("talk", "b", "c"):
        (source / f"{name}.srt").write_text(srt(*timed()))
    with pytest.raises(UserError, match=r"no recording b is beside it"):
        run_import(source / "b.srt", output=tmp_path / "b")
    (source / "talk.srt").unlink()
    with pytest.raises(UserError, match=r"no recording b is beside it"):  # nor by which of two
        run_import(source / "b.srt", output=tmp_path / "c")


def test_a_text_of_another_name_is_of_the_recording_that_it_is_given_with(tmp_path: Path) -> None:
    for name in ("talk", "other"):
        recording(tmp_path / "audio", f"{name}.wav")
    (tmp_path / "subs").mkdir()
    for name in ("talk", "x"):
        (tmp_path / f"subs/{name}.srt").write_text(srt(*timed()))
    talk, other = tmp_path / "audio/talk.wav", tmp_path / "audio/other.wav"
    by_name, x = tmp_path / "subs/talk.srt", tmp_path / "subs/x.srt"
    for i, (sources, told) in enumerate((((talk, by_name), ()), ((talk, x), ("talk.wav",)))):
        result = run_import(*sources, output=tmp_path / f"out{i}")
        assert tuple(result.texts) == WHOLE
        named = tuple(f'recording: "{name}"' for name in told)
        assert result.imported.sources[0].taken_for == named
    for name in ("talk", "other"):
        (tmp_path / f"audio/{name}.srt").write_text(srt(*timed()))
    for i, sources in enumerate(((talk, other, x), (other, x))):  # of which there is not told
        result = run_import(*sources, output=tmp_path / f"own{i}")
        assert tuple(result.texts) == WHOLE * (len(sources) - 1)
        assert {why for _, why in result.reasons} == {"no audio"}


def test_words_of_webmaus_are_taken_and_marks_of_pauses_are_not(tmp_path: Path) -> None:
    samples = recording(tmp_path)
    marked = sorted([*words(), (3.2, 4.2, "<p:>"), (6.5, 7.5, "sil")])
    grid = textgrid(("ORT-MAU", marked), ("KAN-MAU", words()), ("MAU", [(0.5, 0.7, "D")]))
    (tmp_path / "talk.TextGrid").write_text(grid)
    result = run_import(tmp_path / "talk.TextGrid", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    assert result.imported.sources[0].taken_for == ("tiers: ORT-MAU", "not used: KAN-MAU, MAU")


def test_names_before_captions_are_speakers_and_stand_in_no_sentence(tmp_path: Path) -> None:
    recording(tmp_path)
    who = ("Ann Lee", "Bob", "Ann Lee", "Ann Lee", "Bob")
    said = [(s, e, f"{name}: {text}") for (s, e, text), name in zip(timed(), who, strict=True)]
    (tmp_path / "talk.vtt").write_text(vtt(*said))
    result = run_import(tmp_path, output=tmp_path.parent / "named")
    assert [(u.speaker, u.text) for u in result.rows] == [*zip(who, SAID, strict=True)]


def test_a_name_before_some_captions_begins_another_sentence(tmp_path: Path) -> None:
    recording(tmp_path)
    labels = ("ANN: ", "BOB: ", "ANN: ", "", "")
    said = [(s, e, f"{name}{text}") for (s, e, text), name in zip(timed(), labels, strict=True)]
    (tmp_path / "talk.srt").write_text(srt(*said))
    texts = run_import(tmp_path, output=tmp_path.parent / "some").texts
    assert texts == [f"ANN: {SAID[0]}", f"BOB: {SAID[1]}", f"ANN: {SAID[2]}", WHOLE[2]]


@pytest.mark.parametrize(
    ("recordings", "speakers"), [(1, {"SPEAKER_00", "SPEAKER_01"}), (2, {None})]
)
def test_numbers_that_a_recording_gives_its_speakers_are_no_people(
    tmp_path: Path, recordings: int, speakers: set
) -> None:
    for n in range(recordings):
        recording(tmp_path / "in", f"talk{n}.wav")
        segments = [
            {"start": s, "end": e, "text": text, "speaker": f"SPEAKER_0{i // 3}"}
            for i, (s, e, text) in enumerate(timed())
        ]
        (tmp_path / f"in/talk{n}.json").write_text(json.dumps({"segments": segments}))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert {u.speaker for u in result.rows} == speakers
    kept = result.imported.sources[0].taken_for
    for lines in (result.told, kept):
        assert any("not taken for people" in line for line in lines) == (recordings > 1)


def test_numbered_speakers_beside_named_ones_are_others_in_each_recording(tmp_path: Path) -> None:
    for n, name in enumerate(("Ann", "Bob", "Cy")):
        recording(tmp_path / "in", f"talk{n}.wav")
        who = (name, "Speaker 2", name, "Speaker 2", "Speaker 7" if n == 0 else name)
        said = [(s, e, f"<v {w}>{t}.") for (s, e, t), w in zip(timed(), who, strict=True)]
        (tmp_path / f"in/talk{n}.vtt").write_text(vtt(*said))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    shared = {f"talk{n}/Speaker 2" for n in range(3)}
    assert {u.speaker for u in result.rows} == {"Ann", "Bob", "Cy", "Speaker 7", *shared}
    assert any("(now talk0/Speaker 2 and the like)" in line for line in result.told)


def test_numbers_that_a_corpus_gives_its_speakers_are_people(tmp_path: Path) -> None:
    source = tmp_path / "in"
    segments, who = [], []
    for n in range(2):
        recording(source, f"rec{n}.wav")
        segments += [f"spk0{i}-{n} rec{n} {s} {e}" for i, (s, e) in enumerate(WANTED)]
        who += [f"spk0{i}-{n} spk0{i}" for i in range(3)]
    (source / "wav.scp").write_text("".join(f"rec{n} {source}/rec{n}.wav\n" for n in (0, 1)))
    (source / "segments").write_text("\n".join(segments) + "\n")
    (source / "utt2spk").write_text("\n".join(who) + "\n")
    (source / "text").write_text("".join(f"{one.split()[0]} red boat {one}\n" for one in who))
    result = run_import(source, output=tmp_path / "out")
    assert {u.speaker for u in result.rows} == {"spk00", "spk01", "spk02"}


def test_labels_divided_by_spaces_are_labels_and_those_of_htk_are_no_transcript(
    tmp_path: Path,
) -> None:
    samples = recording(tmp_path / "in")
    labels = "".join(f"{s:.6f} {e:.6f}  {text}\n" for s, e, text in timed())
    (tmp_path / "in/talk.txt").write_text(labels)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    (tmp_path / "in/talk.txt").write_text("10 20 30\n5 4 3\n")  # counted
    assert run_import(tmp_path / "in", output=tmp_path / "count").texts == ["10 20 30 5 4 3"]
    (tmp_path / "in/talk.txt").unlink()
    lab = "".join(f"{s * 1e7:.0f} {e * 1e7:.0f} {text}\n" for s, e, text in timed())
    (tmp_path / "in/talk.lab").write_text(lab)
    with pytest.raises(UserError, match=r"talk\.lab: bad row: has times in HTK's units"):
        run_import(tmp_path / "in", output=tmp_path / "lab")


@pytest.mark.parametrize(
    "said",
    [
        ["3.5 4.2 are the grades of Ann"],
        ["3.5 4.2 are the grades of Ann", "2.5 2.7 those of Bob"],
        ["2.5 1.2 are the grades of Ann", "3.5 1.7 those of Bob"],
        ["3.5 4.2 are the grades of Ann", "13.5 24.2 are those of a dog"],  # behind the end
    ],
)
def test_numbers_that_are_said_are_no_labels(tmp_path: Path, said: list[str]) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.txt").write_text("\n".join(said))
    assert run_import(tmp_path / "in", output=tmp_path / "out").texts == [" ".join(said)]


def test_old_encodings_of_subtitles_are_told(tmp_path: Path) -> None:
    """A text that was misread is seen by whom it is told what it was read as."""
    texts = {"a": ("Née là.", "cp1252"), "b": ("Où ça ?", "cp1252"), "c": ("Déjà vu.", "utf-8")}
    place = tmp_path / "talks"
    place.mkdir()
    for name, (text, encoding) in texts.items():
        write(place / f"{name}.wav", speech(((0.5, 2.5),), 3.0))
        (place / f"{name}.srt").write_bytes(srt((0.5, 2.5, text)).encode(encoding))
    result = run_import(place, output=tmp_path / "out")
    assert result.imported.sources[0].taken_for == (
        "text read as cp1252 in a.srt and 1 more",
        "a guess: `moontune import --encoding NAME` says another",
    )


def in_ms(seconds: float) -> str:
    return str(round(1000 * seconds))


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("start,end,text", lambda s, e, t: f'{in_ms(s)},{in_ms(e)},"{t}"'),  # whisper.cpp
        ("Start;End;Text", lambda s, e, t: f"{s};{e};{t}"),
        ("Speaker,Start Time,End Time,Text", lambda s, e, t: f"A,{clock(s, '.')},0:{e},{t}"),
        ("start_ms\tend_ms\ttext", lambda s, e, t: f"{in_ms(s)}\t{in_ms(e)}\t{t}"),
        ("Beginn;Ende;Text", lambda s, e, t: f"{s};{e};{t}"),
        ("begin,duration,text", lambda s, e, t: f"{s},{e - s:.3f},{t}"),
    ],
)  # fmt: skip
def test_a_table_of_times_beside_its_recording(
    tmp_path: Path, head: str, row: Callable[[float, float, str], str]
) -> None:
    samples = recording(tmp_path / "in")
    table = "\n".join([head, *(row(*one) for one in timed())])
    (tmp_path / "in/talk.csv").write_text(table)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    assert result.imported.sources[0].formats == ("timed-table",)


def test_rows_of_a_table_of_times_that_are_not_understood_are_left_out(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    rows = [f"{s},{e},{t}" for s, e, t in timed()]
    table = "\n".join(["start,end,text", *rows, "00:00:12;04,13,Frames.", ",13,When?"])
    (tmp_path / "in/talk.csv").write_text(table)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    assert result.reasons == [("talk.csv:7", "bad times"), ("talk.csv:8", "bad times")]


def test_labels_may_have_names_of_columns_and_how_long_each_lasts(tmp_path: Path) -> None:
    """ELAN's tab-delimited text with the columns that it proposes."""
    samples = recording(tmp_path / "in")
    rows = [f"{s:.3f}\t{e:.3f}\t{e - s:.3f}\t{t}" for s, e, t in timed()]
    head = "Begin Time - ss.msec\tEnd Time - ss.msec\tDuration - ss.msec\tann"
    (tmp_path / "in/talk.txt").write_text("\n".join([head, *rows]))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)


@pytest.mark.parametrize("table", ["start,end,text\n", "frame,start,text\n1,red,x\n2,blue,y\n"])
def test_a_table_without_times_takes_no_text_away(tmp_path: Path, table: str) -> None:
    clips(tmp_path / "in", "a.wav")
    (tmp_path / "in/a.csv").write_text(table)
    (tmp_path / "in/a.txt").write_text("Hello you.")
    assert run_import(tmp_path / "in", output=tmp_path / "out").texts == ["Hello you."]


def test_a_number_that_is_said_is_no_length_of_a_label(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.txt").write_text("0.5\t1.5\t1\tpear\n1.6\t2.6\t5\tapples\n")
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == ["1 pear", "5 apples"]


def test_what_teams_writes_of_a_meeting_beside_its_text_is_no_text(tmp_path: Path) -> None:
    """Microsoft Graph's `content` and `metadataContent`, both WebVTT."""
    cues = [f"{clock(s, '.')} --> {clock(e, '.')}\n" for s, e in WANTED]
    told = {"startDateTime": "2023-03-08T08:22:30.0+00:00", "spokenLanguage": "en-us"}
    written = {
        "voices": [f"<v User Name>{text}</v>" for text in WHOLE],
        "json": [
            json.dumps(told | {"speakerName": "User Name", "spokenText": text}) for text in WHOLE
        ],
    }
    for kind, texts in written.items():
        samples = recording(tmp_path / kind)
        before = "-00:00:01.500 --> 00:00:00.400\nBefore the recording.\n\n"
        content = "\n\n".join(cue + text for cue, text in zip(cues, texts, strict=True))
        (tmp_path / kind / "talk.vtt").write_text(f"WEBVTT\n\n{before}{content}\n")
        result = run_import(tmp_path / kind, output=tmp_path / f"{kind}-out")
        assert tuple(result.texts) == WHOLE
        assert {u.speaker for u in result.rows} == {"User Name"}
        cut_as_wanted(result, samples)
        assert result.reasons == [("talk.vtt:3", "bad times")]


@pytest.mark.parametrize("data", ['{"title": "Chapter 1"}', '{"spokenText": ["a"]}', '{"cut": "o'])
def test_data_in_a_caption_is_no_text(tmp_path: Path, data: str) -> None:
    recording(tmp_path / "in")
    times = [f"{clock(s, '.')} --> {clock(e, '.')}" for s, e in WANTED[:2]]
    (tmp_path / "in/talk.vtt").write_text(
        f"WEBVTT\n\n{times[0]}\n{data}\n\n{times[1]}\n{WHOLE[1]}\n"
    )
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [WHOLE[1]]
    assert result.reasons == [("talk.vtt:3", "bad row")]


@pytest.mark.parametrize(
    "text", ['{"Oh, well" she said.', '{"cold"} is a set.', '{"a": 1} is an object.']
)
def test_a_caption_that_only_begins_as_data_is_a_text(tmp_path: Path, text: str) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.srt").write_text(srt((*WANTED[0], text), (*WANTED[1], WHOLE[1])))
    assert run_import(tmp_path / "in", output=tmp_path / "out").texts == [text, WHOLE[1]]


def test_beside_data_what_begins_as_data_is_no_text(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    cut = '{"spok'
    cues = ((*WANTED[0], json.dumps({"spokenText": WHOLE[0]})), (*WANTED[1], cut))
    (tmp_path / "in/talk.vtt").write_text(vtt(*cues))
    assert run_import(tmp_path / "in", output=tmp_path / "out").texts == [WHOLE[0]]


def test_numbers_of_captions_without_empty_lines_between_are_not_said(tmp_path: Path) -> None:
    samples = recording(tmp_path / "in")
    cues = zip(WANTED, WHOLE, strict=True)
    content = srt(*((s, e, text) for (s, e), text in cues)).replace("\n\n", "\n")
    before = "0\n-00:00:01,500 --> 00:00:00,400\nBefore the recording.\n"
    (tmp_path / "in/talk.srt").write_text(before + content)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    assert result.reasons == [("talk.srt:2", "bad times")]


def test_numbers_that_are_said_are_texts(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    cues = zip(WANTED[:2], ("Three.", "2"), strict=True)
    lines = (f"{clock(s)} --> {clock(e)}\n{text}\n" for (s, e), text in cues)
    (tmp_path / "in/talk.srt").write_text("".join(lines) + "00:59:00,000 --> 00:59:01,000\nx\n")
    assert run_import(tmp_path / "in", output=tmp_path / "out").texts == ["Three.", "2"]


def test_times_before_the_begin_in_a_remark_are_no_caption(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    note = "NOTE\n-00:00:01.500 --> 00:00:00.400 was cut\n\n"
    content = vtt((*WANTED[0], WHOLE[0])).replace("NOTE nothing\n\n", note)
    (tmp_path / "in/talk.vtt").write_text(content)
    assert not run_import(tmp_path / "in", output=tmp_path / "out").left_out
