"""Words of a script that the base did not write, found by how well they fit the sound."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import noise
from imports import write

from moontune.importing.script.cutting import UNSURE, Passage
from moontune.importing.script.listening import Listener, stretches_of
from moontune.importing.script.passages import cut_up
from moontune.importing.script.unheard import as_the_base_writes, fits_well, with_unheard
from moontune.importing.script.words import script_of
from moontune.importing.values import Fit, Guess, Piece
from moontune.models.base_model import Base, target_ids
from moontune.models.transcriber import Transcriber

FIRST, LAST = "The red boat sails home before the storm.", "Nobody remembers the old key."
SHOUT, WHISPER = "Chunga, utani chunga!", "Open the sarcophagus!"
LIKELY, UNLIKELY, ELSEWHERE = 1.0, 7.0, 4.0  # nats a token


def fit(there: float, first: float | None = None, tokens: int = 6) -> Fit:
    own = np.full(tokens, there, np.float32)
    own[0] = there if first is None else first
    return Fit(own, np.full(tokens, ELSEWHERE, np.float32))


@dataclass
class KnowingEar:
    """One that finds exactly those sentences likely that are said in a stretch's pieces."""

    pieces: Sequence[Piece]
    said: Mapping[int, tuple[str, ...]]  # by piece
    asked: list[Guess] = field(default_factory=list)

    def hear(self, recording: Path, longest_s: float) -> list[Piece]:
        return list(self.pieces)

    def fits(self, recording: Path, guesses: Sequence[Guess]) -> list[tuple[Fit, ...]]:
        self.asked += guesses
        return [self._fits(guess) for guess in guesses]

    def _fits(self, guess: Guess) -> tuple[Fit, ...]:
        inside = [
            i
            for i, p in enumerate(self.pieces)
            if guess.start_s <= p.start_s and p.end_s <= guess.end_s
        ]
        there = [sentence for i in inside for sentence in self.said.get(i, ())]
        more = 0.1 * (len(inside) - 1)  # a little likelier among more sound
        return tuple(fit((LIKELY if s in there else UNLIKELY) - more) for s in guess.sentences)


def found(
    heard: Sequence[str], lines: Sequence[str], said: Mapping[int, tuple[str, ...]]
) -> tuple[list[Passage], list[tuple[int, str]], KnowingEar]:
    """Passages, and clips as the number of their first piece and their words; a piece lasts 3 s."""
    pieces = [Piece(3.5 * i + 0.5, 3.5 * i + 3.5, text) for i, text in enumerate(heard)]
    script = script_of(list(enumerate(lines, start=1)))
    ear = KnowingEar(pieces, said)
    passages = with_unheard(
        cut_up(pieces, script, 15.0), pieces, script, Path("talk.wav"), ear, 15.0
    )
    starts = [p.start_s for p in pieces]
    clips = [
        (starts.index(one.start_s), script.text(one.first, one.end))
        for one in passages
        if one.reason is None
    ]
    return passages, clips, ear


def test_a_shout_of_which_nothing_is_written_gets_its_words() -> None:
    passages, clips, _ = found((FIRST, "", LAST), (FIRST, SHOUT, LAST), {1: (SHOUT,)})
    assert clips == [(0, FIRST), (1, SHOUT), (2, LAST)]
    assert passages[1].confidence == pytest.approx(np.exp(-LIKELY), abs=0.01)


def test_a_gaps_pieces_get_their_own_words_and_a_foreign_one_none() -> None:
    heard = (FIRST, "", "Could somebody close that window?", "ah", LAST)
    passages, clips, _ = found(heard, (FIRST, SHOUT, WHISPER, LAST), {1: (SHOUT,), 3: (WHISPER,)})
    assert clips == [(0, FIRST), (1, SHOUT), (3, WHISPER), (4, LAST)]
    [left] = [one for one in passages if one.reason]
    assert (left.start_s, left.end_s) == (7.5, 10.5)
    assert "close that window" in left.detail


def test_words_that_nobody_said_get_no_clip() -> None:
    assert found((FIRST, "", LAST), (FIRST, SHOUT, LAST), {})[1] == [(0, FIRST), (2, LAST)]
    both = found((FIRST, "", LAST), (FIRST, SHOUT, WHISPER, LAST), {1: (WHISPER,)})[1]
    assert both == [(0, FIRST), (1, WHISPER), (2, LAST)]


def test_words_over_two_pieces_need_both() -> None:
    class Halves(KnowingEar):
        def _fits(self, guess: Guess) -> tuple[Fit, ...]:
            whole = guess.end_s - guess.start_s > 6
            return tuple(fit(LIKELY if whole else 2.5) for _ in guess.sentences)

    pieces = [Piece(3.5 * i, 3.5 * i + 3, text) for i, text in enumerate((FIRST, "", "", LAST))]
    script = script_of(list(enumerate((FIRST, SHOUT, LAST), start=1)))
    passages = with_unheard(
        cut_up(pieces, script, 15.0), pieces, script, Path("a"), Halves(pieces, {}), 15.0
    )
    assert [(p.start_s, p.end_s) for p in passages if p.reason is None][1] == (3.5, 10.0)


def test_long_gaps_long_clips_and_impossible_paces_are_not_tried() -> None:
    many = tuple(f"Line {i} of what nobody here ever said." for i in range(12))
    assert not found((FIRST, "", LAST), (FIRST, *many, LAST), {1: many[:1]})[2].asked
    assert not found((FIRST, *[""] * 12, LAST), (FIRST, SHOUT, LAST), {1: (SHOUT,)})[2].asked
    asked = found((FIRST, *[""] * 6, LAST), (FIRST, SHOUT, LAST), {})[2].asked
    assert max(guess.end_s - guess.start_s for guess in asked) < 15.3
    too_much = " ".join(["a very long line of many words"] * 6)
    assert not found((FIRST, "", LAST), (FIRST, too_much, LAST), {1: (too_much,)})[2].asked


@pytest.mark.parametrize(
    ("fits", "well"),
    [
        ((fit(1.0),), True),
        ((fit(1.0), fit(2.0)), True),
        ((fit(3.2),), False),  # too unlikely
        ((fit(1.0, first=9.0),), False),  # something else is said before it
        ((Fit(fit(1.0).there, fit(1.5).there),), False),  # as likely where nobody says it
        ((fit(0.5, tokens=30), fit(5.5)), False),  # one of its sentences is not said
        ((fit(0.5, tokens=30), fit(3.8)), False),  # nor this one: it gains nothing
    ],
)
def test_what_fits_well(fits: tuple[Fit, ...], well: bool) -> None:
    assert fits_well(fits) is well


def test_without_losses_all_stays_as_it_was() -> None:
    pieces = [Piece(0.5, 3.5, FIRST), Piece(4.0, 7.0, ""), Piece(7.5, 10.5, LAST)]
    script = script_of(list(enumerate((FIRST, SHOUT, LAST), start=1)))
    before = cut_up(pieces, script, 15.0)

    class Deaf(KnowingEar):
        def fits(self, recording: Path, guesses: Sequence[Guess]) -> list[tuple[Fit, ...]]:
            return []

    assert with_unheard(before, pieces, script, Path("a"), Deaf(pieces, {}), 15.0) == before
    assert [one.reason for one in before] == [None, UNSURE, None] or len(before) == 3


def test_sentences_are_tried_as_the_base_writes() -> None:
    assert as_the_base_writes("THE HELL WITH IT") == "The hell with it."
    assert as_the_base_writes("ask the NASA guy") == "ask the NASA guy."
    assert as_the_base_writes("Who?") == "Who?"


def test_stretches_are_those_samples_of_a_recording_read_once() -> None:
    whole = np.arange(1000, dtype=np.float32)
    blocks = iter(np.array_split(whole, 7))
    spans = [(0, 10), (5, 300), (290, 310), (290, 305), (900, 1200)]
    for (first, end), got in zip(spans, stretches_of(blocks, spans), strict=True):
        assert np.array_equal(got, whole[first:end])


def test_losses_of_sentences_are_those_of_the_label(tiny_base: Base) -> None:
    """What a sentence costs behind another is what its tokens cost in the whole."""
    transcriber = Transcriber(tiny_base)
    clips = [noise(1, 1.0), noise(2, 1.7)]
    said = [(1, ("One boat.", "Two boats.")), (0, ("Three.",)), (1, ("Three.",))]
    found = transcriber.losses(clips, said)
    tokenizer, eos = tiny_base.tokenizer, transcriber.packed.eos
    for (place, sentences), parts in zip(said, found, strict=True):
        ids = [target_ids(tokenizer, s, eos)[:-1] for s in sentences]
        assert [len(part) for part in parts] == [len(some) for some in ids]
        label = [*itertools.chain(*ids), eos]
        with torch.no_grad():
            out = tiny_base.net(
                input_values=torch.from_numpy(clips[place])[None], labels=torch.tensor([label])
            )
        losses = torch.nn.functional.cross_entropy(
            out.logits[0], torch.tensor(label), reduction="none"
        )
        assert np.allclose(np.concatenate(parts), losses[:-1].numpy(), atol=1e-4)


def test_a_listener_gives_each_guess_its_own_fit(tiny_model: Path, tmp_path: Path) -> None:
    """In the order of the guesses, whatever their order in time, and the same one by one."""

    recording = write(tmp_path / "talk.wav", noise(3, 8.0))
    guesses = [
        Guess(4.0, 6.0, ("One boat.", "Two.")),
        Guess(0.5, 2.0, ("Three.",)),
        Guess(4.0, 6.0, ("Three.",)),
    ]
    listener = Listener(str(tiny_model))
    together = listener.fits(recording, guesses)
    assert [len(fits) for fits in together] == [2, 1, 1]
    for guess, fits in zip(guesses, together, strict=True):
        [alone] = listener.fits(recording, [guess])
        for one, other in zip(fits, alone, strict=True):
            assert np.allclose(one.there, other.there, atol=1e-4)
            assert np.allclose(one.reversed, other.reversed, atol=1e-4)
            assert not np.allclose(one.there, one.reversed, atol=1e-4)
