"""JSON of services that recognise speech: what is said, when, by whom, on which channel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imports import run_import, write
from timed_talk import SAID, SPANS, WANTED, WHOLE, cut_as_wanted, recording, speech, timed

from moontune.errors import UserError

WHO = (0, 0, 1, 0, 0)  # of SAID: two people


def ms(seconds: float) -> int:
    return round(1000 * seconds)


def spoken() -> list[tuple[int, list[tuple[float, float, str]]]]:
    """Who says each part, and its words with times."""
    found = []
    for who, (start, end), text in zip(WHO, SPANS, SAID, strict=True):
        parts = text.split()
        step = (end - start) / len(parts)
        times = [(start + i * step, start + (i + 1) * step) for i in range(len(parts))]
        found.append((who, [(s, e, w) for (s, e), w in zip(times, parts, strict=True)]))
    return found


def split_mark(word: str) -> tuple[str, str]:
    return (word[:-1], word[-1]) if word.endswith(".") else (word, "")


def assemblyai(utterances: bool = True) -> dict[str, Any]:
    def rows(who: int, words: list[tuple[float, float, str]]) -> list[dict[str, Any]]:
        return [
            {"text": w, "start": ms(s), "end": ms(e), "confidence": 0.9, "speaker": "AB"[who]}
            for s, e, w in words
        ]

    said = [
        {
            "speaker": "AB"[who],
            "text": " ".join(w for *_, w in words),
            "confidence": 0.9,
            "start": ms(words[0][0]),
            "end": ms(words[-1][1]),
            "words": rows(who, words),
        }
        for who, words in spoken()
    ]
    words = [row for who, part in spoken() for row in rows(who, part)]
    return {
        "id": "6rlr",
        "status": "completed",
        "audio_url": "https://x/talk.wav",
        "text": "All.",
        "words": words,
        "utterances": said if utterances else None,
        "audio_duration": 14,
    }


def deepgram(kind: str) -> dict[str, Any]:
    words = [
        {"word": w.lower().strip("."), "punctuated_word": w, "start": s, "end": e, "speaker": who}
        for who, part in spoken()
        for s, e, w in part
    ]
    sentences = [
        {"speaker": who, "sentences": [{"text": t, "start": s, "end": e}]}
        for who, (s, e, t) in zip(WHO, timed(), strict=True)
    ]
    said = [
        {"start": s, "end": e, "channel": 0, "transcript": t, "words": [], "speaker": who}
        for who, (s, e, t) in zip(WHO, timed(), strict=True)
    ]
    first: dict[str, Any] = {"transcript": "All.", "words": words}
    first |= {"paragraphs": {"paragraphs": sentences}} if kind == "paragraphs" else {}
    results: dict[str, Any] = {"channels": [{"alternatives": [first, {"transcript": "Else."}]}]}
    results |= {"utterances": said} if kind == "utterances" else {}
    return {"metadata": {"request_id": "x", "channels": 1}, "results": results}


def google(kind: str) -> dict[str, Any]:
    start, end = ("startOffset", "endOffset") if kind == "v2" else ("startTime", "endTime")

    def rows(words: list[tuple[float, float, str]], who: int | None) -> list[dict[str, Any]]:
        told = {} if who is None else {"speakerTag": who + 1}
        return [{start: f"{s:.3f}s", end: f"{e:.3f}s", "word": w, **told} for s, e, w in words]

    results: list[dict[str, Any]] = [
        {"alternatives": [{"transcript": " ".join(w for *_, w in part), "words": rows(part, None)}]}
        for _, part in spoken()
    ]
    if kind == "plain":
        results = [
            {"alternatives": [{"transcript": text}], "resultEndTime": f"{end:.1f}s"}
            for text, end in zip(WHOLE, (3.2, 6.5, 11.2), strict=True)
        ]
    if kind == "speakers":  # all words again, with who says them
        again = [row for who, part in spoken() for row in rows(part, who)]
        results.append({"alternatives": [{"words": again}]})
    return {"response": {"results": results}} if kind == "operation" else {"results": results}


def aws(labels: str) -> dict[str, Any]:
    items, segments = [], []
    for who, part in spoken():
        for s, e, word in part:
            text, mark = split_mark(word)
            times = {"start_time": f"{s:.3f}", "end_time": f"{e:.3f}"}
            told = {"speaker_label": f"spk_{who}"}
            content = [{"content": text, "confidence": "1.0"}]
            mine = told if labels == "items" else {}
            items.append({**times, "type": "pronunciation", "alternatives": content, **mine})
            segments.append({**times, **told, "items": [{**times, **told}]})
            if mark:
                items.append({"type": "punctuation", "alternatives": [{"content": mark}]})
    results = {"transcripts": [{"transcript": "All."}], "items": items}
    return {"jobName": "j", "status": "COMPLETED", "results": results} | (
        {"results": {**results, "speaker_labels": {"segments": segments}}}
        if labels == "segments"
        else {}
    )


def azure(kind: str) -> dict[str, Any]:
    phrases = []
    for who, (s, e, text) in zip(WHO, timed(), strict=True):
        times = {
            "ticks": {"offsetInTicks": s * 1e7, "durationInTicks": (e - s) * 1e7},
            "iso": {"offset": f"PT{s}S", "duration": f"PT0M{e - s:.3f}S"},
            "fast": {"offsetMilliseconds": ms(s), "durationMilliseconds": ms(e - s), "text": text},
        }[kind]
        said = {"nBest": [{"lexical": "no", "display": text}, {"display": "Else."}]}
        phrases.append({"speaker": who + 1, **times, **(said if kind != "fast" else {})})
    if kind == "fast":
        return {"durationMilliseconds": 14_000, "phrases": phrases}
    failed = {"recognitionStatus": "Failure", "channel": 0}
    return {"source": "talk.wav", "recognizedPhrases": [failed, *phrases]}


def in_capitals(value: Any) -> Any:
    """As older versions write their names."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: in_capitals(one) for name, one in value.items()}
    return [*map(in_capitals, value)] if isinstance(value, list) else value


def rev() -> dict[str, Any]:
    monologues = []
    for who, part in spoken():
        elements: list[dict[str, Any]] = []
        for i, (s, e, word) in enumerate(part):
            text, mark = split_mark(word)
            times = {"ts": s, "end_ts": e} if i != 1 or mark else {}  # not every word is found
            elements.append({"type": "text", "value": text, **times})
            elements.append({"type": "punct", "value": mark or " "})
        monologues.append({"speaker": who, "elements": elements})
    return {"monologues": monologues, "speakers": [{"id": 0, "name": "Ann"}]}


def speechmatics() -> dict[str, Any]:
    results = []
    for who, part in spoken():
        for s, e, word in part:
            text, mark = split_mark(word)
            one = {"start_time": s, "end_time": e, "type": "word"}
            told = {"speaker": f"S{who + 1}"}
            results.append({**one, "alternatives": [{"content": text, **told}]})
            if mark:
                end = {"start_time": e, "end_time": e, "type": "punctuation"}
                results.append({**end, "alternatives": [{"content": mark, **told}]})
    return {"format": "2.9", "metadata": {"type": "transcription"}, "results": results}


def elevenlabs() -> dict[str, Any]:
    words: list[dict[str, Any]] = [
        {"text": "(a door)", "start": 0.1, "end": 0.3, "type": "audio_event"}
    ]
    for who, part in spoken():
        for s, e, word in part:
            told = {"speaker_id": f"speaker_{who}"}
            words.append({"text": word, "start": s, "end": e, "type": "word", **told})
            words.append({"text": " ", "start": e, "end": e, "type": "spacing", **told})
    return {"language_code": "eng", "text": "All.", "words": words}


def gladia(kind: str) -> dict[str, Any]:
    said = [
        {
            "text": text,
            "language": "en",
            "start": s,
            "end": e,
            "confidence": 0.9,
            "channel": 0,
            "speaker": who,
            "words": [{"word": f" {w}", "start": a, "end": b, "confidence": 1} for a, b, w in part],
        }
        for (who, part), (s, e, text) in zip(spoken(), timed(), strict=True)
    ]
    if kind == "v1":
        return {"prediction": [
            {"transcription": one["text"], "language": "en", "time_begin": one["start"],
             "time_end": one["end"], "speaker": one["speaker"], "channel": "channel_0",
             "words": [{"word": w["word"], "time_begin": w["start"], "time_end": w["end"]}
                       for w in one["words"]]}
            for one in said
        ], "prediction_raw": {}}  # fmt: skip
    other = {"success": True, "results": [{"utterances": said[:1]}]}
    result = {"transcription": {"utterances": said, "full_transcript": "x"}, "translation": other}
    return {"id": "x", "status": "done", "result": result} if kind == "job" else result


def soniox(kind: str) -> dict[str, Any]:
    tokens: list[dict[str, Any]] = []
    for who, part in spoken():
        for s, e, word in part:
            half = max(1, len(word) // 2)  # a word is in several tokens
            middle = (s + e) / 2
            pieces = [(f" {word[:half]}" if tokens else word[:half], s, middle)]
            pieces += [(word[half:], middle, e)] if word[half:] else []
            tokens += [
                {"text": t, "start_ms": ms(a), "end_ms": ms(b), "confidence": 1,
                 "speaker": str(who + 1)} for t, a, b in pieces
            ]  # fmt: skip
        translated = {"text": " Rot", "speaker": str(who + 1)}
        tokens.append({**translated, "translation_status": "translation"})
    if kind == "old":
        words = [t for t in tokens if "start_ms" in t]
        for t in words:
            t["duration_ms"] = t.pop("end_ms") - t["start_ms"]
        return {"words": words}
    return {"id": "x", "text": "All.", "tokens": tokens}


def watson(speakers: bool = True) -> dict[str, Any]:
    runs = [spoken()[:3], spoken()[3:]]  # two people speak in the first result
    results, labels = [], []
    for run in runs:
        stamps = [[w, s, e] for _, part in run for s, e, w in part]
        text = " ".join(w for w, *_ in stamps) + " "
        results.append({"final": True, "alternatives": [
            {"transcript": text, "confidence": 0.9, "timestamps": stamps}, {"transcript": "Else "}
        ]})  # fmt: skip
        labels += [
            {"from": s, "to": e, "speaker": who, "final": True}
            for who, part in run for s, e, _ in part
        ]  # fmt: skip
    interim = {"final": False, "alternatives": [{"transcript": "the red", "timestamps": []}]}
    document = {"result_index": 0, "results": [interim, *results]}
    return {**document, "speaker_labels": labels} if speakers else document


def call_analytics() -> dict[str, Any]:
    turns = []
    for (who, part), (s, e, text) in zip(spoken(), timed(), strict=True):
        items: list[dict[str, Any]] = []
        for a, b, word in part:
            bare, mark = split_mark(word)
            times = {"BeginOffsetMillis": ms(a), "EndOffsetMillis": ms(b)}
            items.append({"Type": "pronunciation", "Content": bare, **times})
            if mark:
                items.append({"Type": "punctuation", "Content": mark})
        role = ("AGENT", "CUSTOMER")[who]
        times = {"BeginOffsetMillis": ms(s), "EndOffsetMillis": ms(e)}
        turns.append({"Content": text, **times, "ParticipantRole": role, "Items": items})
    return {"JobStatus": "COMPLETED", "Channel": "VOICE", "Transcript": turns}


def sonix() -> dict[str, Any]:
    turns = []
    for who, part in spoken():
        words = [{"text": f" {w}", "start_time": s, "end_time": e} for s, e, w in part]
        times = {"start_time": part[0][0], "end_time": part[-1][1]}
        turns.append({"speaker": f"Speaker {who}", **times, "words": words})
    return {"name": "talk", "transcript": turns}


NUMBERED, LETTERED = ("Speaker 0", "Speaker 1"), ("Speaker A", "Speaker B")
FROM_ONE, NOBODY = ("Speaker 1", "Speaker 2"), (None, None)
OF_AWS = ("spk_0", "spk_1")
SOURCES: dict[str, tuple[str, Any, tuple[str | None, str | None]]] = {
    "assemblyai": ("assemblyai", assemblyai(), LETTERED),
    "assemblyai words": ("assemblyai", assemblyai(utterances=False), LETTERED),
    "deepgram utterances": ("deepgram", deepgram("utterances"), NUMBERED),
    "deepgram paragraphs": ("deepgram", deepgram("paragraphs"), NUMBERED),
    "deepgram words": ("deepgram", deepgram("words"), NUMBERED),
    "google": ("google-speech", google("v1"), NOBODY),
    "google v2": ("google-speech", google("v2"), NOBODY),
    "google operation": ("google-speech", google("operation"), NOBODY),
    "google speakers": ("google-speech", google("speakers"), FROM_ONE),
    "aws": ("aws-transcribe", aws("items"), OF_AWS),
    "aws segments": ("aws-transcribe", aws("segments"), OF_AWS),
    "azure ticks": ("azure-speech", azure("ticks"), FROM_ONE),
    "azure iso": ("azure-speech", azure("iso"), FROM_ONE),
    "azure fast": ("azure-speech", azure("fast"), FROM_ONE),
    "azure of old": ("azure-speech", in_capitals(azure("iso")), FROM_ONE),
    "rev": ("rev-ai", rev(), ("Ann", "Speaker 1")),
    "speechmatics": ("speechmatics", speechmatics(), FROM_ONE),
    "elevenlabs": ("elevenlabs", elevenlabs(), ("speaker_0", "speaker_1")),
    "gladia job": ("gladia", gladia("job"), NUMBERED),
    "gladia result": ("gladia", gladia("result"), NUMBERED),
    "gladia of old": ("gladia", gladia("v1"), NUMBERED),
    "soniox": ("soniox", soniox("v1"), FROM_ONE),
    "soniox of old": ("soniox", soniox("old"), FROM_ONE),
    "watson": ("watson", watson(), NUMBERED),
    "sonix": ("sonix", sonix(), NUMBERED),
    "call analytics": ("aws-call-analytics", call_analytics(), ("AGENT", "CUSTOMER")),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", SOURCES)
def test_each_service_is_cut_into_the_same_sentences(
    tmp_path: Path, name: str, encoding: str
) -> None:
    kind, document, people = SOURCES[name]
    samples = recording(tmp_path / "in")
    text = json.dumps(document, indent=1 if encoding == "utf-8" else None)
    (tmp_path / "in/talk.json").write_text(text, encoding=encoding)
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)
    assert [u.speaker for u in result.rows] == [people[0], people[1], people[0]]
    assert result.imported.sources[0].formats == (kind,)
    assert not result.left_out


def vosk() -> list[dict[str, Any]]:
    """A result for each sentence, and an empty one at the end."""
    results = []
    for run in (spoken()[:2], spoken()[2:3], spoken()[3:]):
        part = [word for _, words in run for word in words]
        bare = [{"conf": 1, "start": s, "end": e, "word": w.lower().strip(".")} for s, e, w in part]
        results.append({"result": bare, "text": " ".join(word["word"] for word in bare)})
    return [*results, {"text": ""}]


def as_vosk_transcriber(results: list[dict[str, Any]]) -> dict[str, Any]:
    monologues = [
        {"speaker": {"id": "unknown", "name": None}, "terms": [
            {"confidence": 1, "start": w["start"], "end": w["end"], "text": w["word"],
             "type": "WORD"} for w in one["result"]
        ]} for one in results if "result" in one
    ]  # fmt: skip
    return {"schemaVersion": "2.0", "monologues": monologues, "text": ["x"]}


def with_guesses(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"alternatives": [{"confidence": 1, **one}, {"text": "else"}]} for one in results]


VOSK = {
    "list": json.dumps(vosk()),
    "one behind another": "\n".join(json.dumps(one, indent=2) for one in vosk()),
    "lines": "".join(json.dumps(one) + "\n" for one in vosk()),
    "guesses": json.dumps(with_guesses(vosk())),
    "transcriber": json.dumps(as_vosk_transcriber(vosk())),
}


@pytest.mark.parametrize("name", VOSK)
def test_results_of_vosk_are_cut_into_what_stands_between_pauses(tmp_path: Path, name: str) -> None:
    samples = recording(tmp_path / "in")
    (tmp_path / "in/talk.json").write_text(VOSK[name])
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [text.lower().strip(".") for text in WHOLE]
    cut_as_wanted(result, samples)
    assert result.imported.sources[0].formats == ("vosk",)
    assert not result.left_out


def test_a_result_of_vosk_without_words_is_left_out(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    results = [{"text": "no times"}, *vosk()]
    (tmp_path / "in/talk.json").write_text(json.dumps(results))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert len(result.rows) == 3
    assert result.reasons == [("talk.json:segment 1", "bad times")]


def test_watsons_numbers_in_figures_are_of_one_speakers_result(tmp_path: Path) -> None:
    """Smart formatting writes fewer words than have times."""
    recording(tmp_path / "in")
    document = watson(speakers=False)
    *_, last = document["results"]
    last["alternatives"][0]["transcript"] = "A %HESITATION wind of 20 knots. "
    (tmp_path / "in/talk.json").write_text(json.dumps(document))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [f"{WHOLE[0]} {WHOLE[1]}", "A wind of 20 knots."]
    assert {u.speaker for u in result.rows} == {None}


def test_japanese_tokens_of_soniox_are_words_each(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    tokens = [
        {"text": text, "start_ms": ms(s + 0.1 * i), "end_ms": ms(s + 0.1 * (i + 1))}
        for (s, _), said in zip(WANTED, ("あかい船。", "鳥がなく。", "風がふく。"), strict=True)
        for i, text in enumerate(said)
    ]
    (tmp_path / "in/talk.json").write_text(json.dumps({"text": "x", "tokens": tokens}))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == ["あかい船。", "鳥がなく。", "風がふく。"]


def test_agents_of_several_calls_are_not_one_person(tmp_path: Path) -> None:
    for name in ("monday", "friday"):
        recording(tmp_path / "in", f"{name}.wav")
        (tmp_path / f"in/{name}.json").write_text(json.dumps(call_analytics()))
    result = run_import(tmp_path / "in", output=tmp_path / "out", link=True)
    assert {u.speaker for u in result.rows} == {None}
    assert any("AGENT" in line for line in result.told)


def test_a_result_without_times_of_words_begins_where_the_last_one_ends(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.json").write_text(json.dumps(google("plain")))
    result = run_import(tmp_path / "in", output=tmp_path / "out", link=True)
    assert tuple(result.texts) == WHOLE
    ends = [(u.offset or 0) + (u.duration or 0) for u in result.rows]
    for u, end, (start, stop) in zip(result.rows, ends, WANTED, strict=True):
        assert (u.offset or 0) <= start < stop <= end


def test_words_of_rev_without_times_lie_between_those_beside_them(tmp_path: Path) -> None:
    recording(tmp_path / "in")
    document = rev()
    one, *_, last = document["monologues"]
    one["elements"][0].pop("ts")  # the first of all is said from the beginning on
    last["elements"][-2].pop("ts", None)  # and how long the last one lasts is not known
    (tmp_path / "in/talk.json").write_text(json.dumps(document))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts == [WHOLE[0], WHOLE[1], SAID[3]]
    assert [reason for _, reason in result.reasons] == ["bad times"]


@pytest.mark.parametrize("service", ["assemblyai", "deepgram"])
def test_channels_are_read_apart_and_each_has_numbers_of_its_own(
    tmp_path: Path, service: str
) -> None:
    left, right = speech(((0.5, 2.0),), 5.0), speech(((1.5, 4.0),), 5.0)  # at once
    write(tmp_path / "in/call.wav", np.stack([left, right], axis=1))
    said = [(0.5, 2.0, "Red boat."), (1.5, 4.0, "Cold wind.")]
    times = [{"start": s, "end": e} for s, e, _ in said]
    if service == "deepgram":
        rows = [
            {**time, "channel": i, "transcript": said[i][2], "speaker": 0}
            for i, time in enumerate(times)
        ]
        channels = [{"alternatives": [{"transcript": "x"}]}] * 2
        document: Any = {"results": {"channels": channels, "utterances": rows}}
    else:
        document = {"utterances": [
            {"start": ms(s), "end": ms(e), "channel": str(i), "text": t, "confidence": 1,
             "speaker": str(i)}
            for i, (s, e, t) in enumerate(said, 1)
        ]}  # fmt: skip
    (tmp_path / "in/call.json").write_text(json.dumps(document))
    result = run_import(tmp_path / "in", output=tmp_path / "out", link=True)
    assert [(u.text, u.channel) for u in result.rows] == [("Red boat.", 0), ("Cold wind.", 1)]
    assert len({u.speaker for u in result.rows}) == 2


def test_letters_of_several_channels_are_no_people_in_other_recordings(tmp_path: Path) -> None:
    """AssemblyAI's of channels are `1A`."""
    for name in ("monday", "friday"):
        write(tmp_path / f"in/{name}.wav", np.stack([speech(), speech()], axis=1))
        rows = [
            {"start": ms(s), "end": ms(e), "channel": str(1 + who), "text": t, "confidence": 1,
             "speaker": f"{1 + who}A"}
            for who, (s, e, t) in zip(WHO, timed(), strict=True)
        ]  # fmt: skip
        (tmp_path / f"in/{name}.json").write_text(json.dumps({"utterances": rows}))
    one = run_import(tmp_path / "in/monday.json", output=tmp_path / "one", link=True)
    assert {u.speaker for u in one.rows} == {"Speaker 1-A", "Speaker 2-A"}
    both = run_import(tmp_path / "in", output=tmp_path / "both", link=True)
    assert {u.speaker for u in both.rows} == {None}


def test_what_rev_did_not_understand_stands_apart_from_words(tmp_path: Path) -> None:
    """Letters between brackets at a word are an editor's: `[H]e said`."""
    recording(tmp_path / "in")
    document = rev()
    document["monologues"][2]["elements"].insert(0, {"type": "unknown", "value": "<foreign>"})
    (tmp_path / "in/talk.json").write_text(json.dumps(document))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert result.texts[1] == f"[foreign] {WHOLE[1]}"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"start": None, "end": 2.0, "transcript": "When?"}, "bad row"),
        ({"start": 1.0, "transcript": "How long?"}, "bad row"),
        ({"start": 1.0, "end": float("nan"), "transcript": "Until?"}, "bad times"),
        ({"start": -1.0, "end": 2.0, "transcript": "Before."}, "bad times"),
        ({"start": 40.0, "end": 42.0, "transcript": "Beyond."}, "bad times"),
        ({"start": 1.0, "end": 2.0, "transcript": "", "words": []}, "no text"),
        ({"start": 1.0, "end": 2.0, "transcript": ["a", "list"]}, "bad row"),
        ({"start": 1.0, "end": 2.0, "transcript": "Where?", "channel": "left"}, "bad row"),
        ({"start": 1.0, "end": 2.0, "transcript": "Where?", "channel": [0]}, "bad row"),
        ({"start": 1.0, "end": 10**400, "transcript": "Until?"}, "bad times"),
    ],
)
def test_a_segment_that_is_not_understood_is_left_out(
    tmp_path: Path, part: dict[str, Any], reason: str
) -> None:
    recording(tmp_path / "in")
    document = deepgram("utterances")
    document["results"]["utterances"].insert(0, part)
    (tmp_path / "in/talk.json").write_text(json.dumps(document))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    assert result.reasons == [("talk.json:segment 1", reason)]


UNUSUAL = {
    "assemblyai": (assemblyai(), "utterances", {"start": None, "end": 1, "text": "?",
                                                "confidence": 0}),
    "azure": (azure("iso"), "recognizedPhrases", {"offset": "PT0S", "duration": "PT1S",
                                                  "nBest": []}),
    "rev": (rev(), "monologues", {"speaker": 0, "elements": []}),
    "speechmatics": (speechmatics(), "results", {"type": "speaker_change", "start_time": 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_a_first_part_without_speech_does_not_hide_the_others(tmp_path: Path, name: str) -> None:
    document, parts, first = UNUSUAL[name]
    recording(tmp_path / "in")
    (tmp_path / "in/talk.json").write_text(
        json.dumps({**document, parts: [first, *document[parts]]})
    )
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    known = {"assemblyai": ["bad row"], "azure": ["bad row"]}
    assert [reason for _, reason in result.reasons] == known.get(name, [])


@pytest.mark.parametrize(
    "content",
    [
        "",
        json.dumps(assemblyai())[:-30],
        json.dumps({"id": "x", "status": "processing", "words": None, "utterances": None}),
        json.dumps({"results": {"channels": []}}),
        json.dumps({"results": []}),
        json.dumps({"utterances": [{"start": 0.5, "end": 1, "text": "Seconds?", "confidence": 1}]}),
        json.dumps({"recognizedPhrases": [{"recognitionStatus": "Failure"}]}),
        json.dumps({"monologues": [{"speaker": 0}]}),
        json.dumps({"monologues": [{"terms": []}]}),
        json.dumps([{"text": "no words"}, {"text": ""}]),
        json.dumps({"results": [{"final": True, "alternatives": [{"transcript": "no times"}]}]}),
        json.dumps({"Transcript": [{"Content": "no times"}]}),
        json.dumps({"tokens": [{"text": "no times"}]}),
        json.dumps({"transcript": [{"words": [{"text": "no times"}]}]}),
        json.dumps(vosk()[0]) + json.dumps(vosk()[1])[:-9],
        "[" * 5_000,
    ],
)
def test_json_of_no_known_shape_is_no_text(tmp_path: Path, content: str) -> None:
    recording(tmp_path / "in")
    (tmp_path / "in/talk.json").write_text(content)
    with pytest.raises(UserError) as told:
        run_import(tmp_path / "in/talk.json", output=tmp_path / "out")
    assert "\n" not in str(told.value)


def test_a_list_with_durations_is_read_as_whispers_segments(tmp_path: Path) -> None:
    """As youtube-transcript-api writes it."""
    samples = recording(tmp_path / "in")
    rows = [{"text": t, "start": s, "duration": e - s} for s, e, t in timed()]
    (tmp_path / "in/talk.json").write_text(json.dumps(rows))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)


def test_words_alone_have_the_marks_of_the_text(tmp_path: Path) -> None:
    """As OpenAI writes it where times of words are asked for."""
    samples = recording(tmp_path / "in")
    rows = [
        {"word": w.strip("."), "start": s, "end": e} for _, part in spoken() for s, e, w in part
    ]
    document = {"task": "transcribe", "duration": 14.0, "text": " ".join(SAID), "words": rows}
    (tmp_path / "in/talk.json").write_text(json.dumps(document))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)


def test_captions_that_stay_while_the_next_is_said_are_cut_at_its_begin(tmp_path: Path) -> None:
    """Captions that YouTube made, two lines at a time."""
    recording(tmp_path / "in")
    ends = [*(start + 1.2 for start, _ in SPANS[2:]), 14.0, 14.0]
    rows = [
        {"text": t, "start": s, "duration": end - s}
        for (s, _, t), end in zip(timed(), ends, strict=True)
    ]
    (tmp_path / "in/talk.json").write_text(json.dumps(rows))
    result = run_import(tmp_path / "in", output=tmp_path / "out")
    assert tuple(result.texts) == WHOLE
    assert not result.left_out


def test_a_long_phrase_of_azures_has_its_words_as_they_are_written(tmp_path: Path) -> None:
    samples = recording(tmp_path / "in")
    words = [
        {"word": w.lower().strip("."), "offsetInTicks": s * 1e7, "durationInTicks": (e - s) * 1e7}
        for _, part in spoken()
        for s, e, w in part
    ]
    best = {"lexical": "no", "display": " ".join(SAID), "words": words}
    phrase = {"offset": "PT0.5S", "duration": "PT10.5S", "nBest": [best]}
    (tmp_path / "in/talk.json").write_text(json.dumps({"recognizedPhrases": [phrase]}))
    result = run_import(tmp_path / "in", output=tmp_path / "out", max_clip_s=5)
    assert tuple(result.texts) == WHOLE
    cut_as_wanted(result, samples)


def test_a_turn_of_sonix_is_cut_at_its_words_and_one_that_is_odd_is_left_out(
    tmp_path: Path,
) -> None:
    """Of all that one speaker says; its marks may be words, a sign is one."""
    samples = recording(tmp_path / "in")
    words: list[dict[str, Any]] = []
    for s, e, word in (row for _, part in spoken() for row in part):
        text, mark = split_mark(word)
        words.append({"text": text.replace("to", "&"), "start_time": s, "end_time": e})
        if mark:
            words.append({"text": mark, "start_time": e, "end_time": e})
    odd = [{"speaker": "Ann", "words": [{"text": "When?"}]}, {"speaker": "Ann", "words": []}]
    turn = {"speaker": "Ann", "words": words}
    (tmp_path / "in/talk.json").write_text(json.dumps({"transcript": [turn, *odd]}))
    result = run_import(tmp_path / "in", output=tmp_path / "out", max_clip_s=5)
    assert result.texts == [text.replace(" to ", " & ") for text in WHOLE]
    cut_as_wanted(result, samples)
    assert {u.speaker for u in result.rows} == {"Ann"}
    assert [reason for _, reason in result.reasons] == ["bad row", "bad times"]
