"""What a script says of one recording, as rows: clips, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moontune.data.audio import AudioError, audio_blocks
from moontune.data.manifest import Dropped
from moontune.importing.pauses import Loudness, cut_times
from moontune.importing.script.alignment import align
from moontune.importing.script.cutting import NOT_SPOKEN, Passage, passages
from moontune.importing.script.unheard import with_unheard
from moontune.importing.script.words import Script, script_of, sound_of
from moontune.importing.tables.table_rows import clip_name
from moontune.importing.values import (
    ANOTHER_TEXT,
    NO_TEXT,
    UNREADABLE,
    Ear,
    Found,
    Piece,
    Place,
    SourceRow,
    left_out,
)
from moontune.languages.words import written_words

_FEWEST = 0.1  # of the letters heard must be in clips, or the script is another's


@dataclass(frozen=True)
class Written:
    """What is written for a recording or a stretch of it, and what its clips are called."""

    recording: Path
    lines: Sequence[tuple[int, str]]
    where: str  # the file
    name: str  # of the clips, before their number
    whole: str  # name of the recording
    place_of: Callable[[int], str]  # of a line's number
    speakers: Mapping[int, str] = field(default_factory=dict)  # by line


def rows_of(
    recording: Path, file: Path, lines: Sequence[tuple[int, str]], ear: Ear, place: Place
) -> Iterator[Found]:
    """The clips of a recording and its script's lines, and what is left out.

    Raises UserError where there is no base to hear it with.
    """
    where, name = place.name_of(file), clip_name(place, recording)
    written = Written(recording, lines, where, name, name, lambda line: f"{where}:{line}")
    try:
        pieces = ear.hear(recording, place.longest_s) if lines else []
        yield from rows_of_pieces(written, pieces, ear, place.longest_s)
    except AudioError as error:
        yield left_out(where, name, UNREADABLE, f"{recording}: {error}")


def rows_of_pieces(
    written: Written, pieces: Sequence[Piece], ear: Ear, longest_s: float
) -> Iterator[Found]:
    """The clips of what was heard, with the words that are written for it, and what is left out.

    Raises AudioError.
    """
    script = script_of(written.lines)
    if not script.texts:
        yield left_out(written.where, written.name, NO_TEXT, "the script is empty")
        return
    found = cut_up(pieces, script, longest_s)
    if (problem := _another(pieces, found, script)) is not None:
        yield left_out(written.where, written.name, ANOTHER_TEXT, problem)
        return
    found = with_unheard(found, pieces, script, written.recording, ear, longest_s)
    loudness = Loudness.of(audio_blocks(written.recording))
    yield from _rows(written, script, found, loudness)
    yield from _not_spoken(written, script, found)


def cut_up(pieces: Sequence[Piece], script: Script, longest_s: float) -> list[Passage]:
    """Clips and what is left out, of what was heard."""
    sounds = [
        [s for word in written_words(piece.text) if (s := sound_of(word))] for piece in pieces
    ]
    return passages(pieces, align(sounds, script), script, longest_s)


def _another(pieces: Sequence[Piece], found: Sequence[Passage], script: Script) -> str | None:
    """Why nothing is taken; None where enough of what was heard is in the script."""
    heard = sum(len(sound_of(word)) for piece in pieces for word in written_words(piece.text))
    if not heard:
        return "no words were heard in the recording"
    clips = sum(len(script.sound(one.first, one.end)) for one in found if one.reason is None)
    if clips >= _FEWEST * heard:
        return None
    return (
        f"hardly anything of the script is heard in the recording ({100 * clips / heard:.0f} %); "
        "is it of another recording, or in another language?"
    )


def _rows(
    written: Written, script: Script, found: Sequence[Passage], loudness: Loudness
) -> Iterator[SourceRow | Dropped]:
    clips = [one for one in found if one.reason is None]
    others = [(one.start_s, one.end_s) for one in found if one.reason is not None]
    times = cut_times([(one.start_s, one.end_s) for one in clips], loudness, others)
    cut = dict(zip(map(id, clips), times, strict=True))
    number = 0
    for one in found:
        if one.reason is not None:
            at = f"{written.recording.name}:{one.start_s:.2f}-{one.end_s:.2f}"
            text = script.text(one.first, one.end)
            script_says = f"; the script: {text[:60]}" if text else ""
            yield left_out(at, written.name, one.reason, f"{one.detail}{script_says}")
            continue
        number += 1
        start, end = cut[id(one)]
        voices = {written.speakers.get(line) for line in script.lines[one.first : one.end]}
        yield SourceRow(
            written.place_of(script.lines[one.first]), script.text(one.first, one.end),
            written.recording, f"{written.name}/{number:04}", start, round(end - start, 3),
            speaker=voices.pop() if len(voices) == 1 else None,
            recorded=(("recording", written.whole), ("confidence", f"{one.confidence:.2f}")),
        )  # fmt: skip


def _not_spoken(written: Written, script: Script, found: Sequence[Passage]) -> Iterator[Dropped]:
    """Stretches of the script that no piece says, by line."""
    at = 0
    for first, end in [*((one.first, one.end) for one in found), (len(script.texts),) * 2]:
        if first > at:
            text = script.text(at, first)
            detail = f"{first - at} words are not heard: {text[:60]}"
            where = written.place_of(script.lines[at])
            yield left_out(where, written.name, NOT_SPOKEN, detail)
        at = max(at, end)
