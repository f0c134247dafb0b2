"""Beams against a search that computes every prefix anew, and what is made of them."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from builders import noise

from moontune.config.schema import TokenCap
from moontune.models import transcriber as transcribing
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base
from moontune.models.consensus import consensus
from moontune.models.packed.beams import Beam, beams
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.greedy import greedy
from moontune.models.packed.layout import pack, some_of
from moontune.models.transcriber import Transcriber

CLIPS = [noise(i, s) for i, s in enumerate((1.5, 0.06, 2.2, 0.6, 1.1))]
CAPS = [9, 4, 12, 1, 6]
DECIDED = 3e-5  # nats between what stays and what goes: several times what is rounded away


def keys_of(packed: PackedForward, clips: list[np.ndarray]) -> Any:
    with torch.no_grad():
        return packed.cross_keys(packed.encode(pack([packed.features(clip) for clip in clips])))


@torch.no_grad()
def searched_plainly(net: Any, clip: np.ndarray, cap: int, width: int) -> list[Beam]:
    """By the rule that `beams` states, in float64, every prefix through transformers' own model."""
    start, eos = net.config.decoder_start_token_id, net.config.eos_token_id
    samples = torch.from_numpy(clip)[None].double().to(net.device)
    going, ended = [([], 0.0)], []
    for _ in range(cap):
        found = list(ended)
        for tokens, score in going:
            told = torch.tensor([[start, *tokens]], device=net.device)
            logits = net(input_values=samples, decoder_input_ids=told).logits[0, -1]
            steps = torch.log_softmax(logits, dim=-1).tolist()
            found += [([*tokens, i], score + step) for i, step in enumerate(steps)]
        found.sort(key=lambda pair: -pair[1])
        if len(found) > width:
            assert found[width - 1][1] - found[width][1] > DECIDED, "a near tie"
        ended = [p for p in found[:width] if p[0][-1] == eos or len(p[0]) == cap]
        going = [p for p in found[:width] if p not in ended]
        if not going:
            break
    return [Beam(*pair) for pair in sorted(ended, key=lambda pair: -pair[1])]


@pytest.fixture(scope="module")
def sharp_base(tiny_base) -> Base:
    """The random model with choices that matter: else all its words are as likely, and none is the
    end. What some of its beams write on the way is made the end."""
    base = copy.deepcopy(tiny_base)
    with torch.no_grad():
        base.net.model.decoder.norm.weight.mul_(6.0)
    packed = packed_forward(base.net, merged=True)
    lists = beams(packed, keys_of(packed, CLIPS), CAPS, 8)
    counts = Counter(i for found in lists for beam in found for i in set(beam.tokens[1:-1]))
    base.net.config.eos_token_id = next(i for i, n in counts.most_common() if n < len(CLIPS) * 3)
    return base


@pytest.mark.parametrize("width", [1, 3, 8])
def test_beams_are_those_of_a_plain_search_whatever_is_beside_them(sharp_base, width) -> None:
    packed = packed_forward(sharp_base.net, merged=True)
    keys = keys_of(packed, CLIPS)
    together = beams(packed, keys, CAPS, width)
    exact: Any = copy.deepcopy(sharp_base.net).cpu().double().eval()
    for i, (clip, cap) in enumerate(zip(CLIPS, CAPS, strict=True)):
        right = searched_plainly(exact, clip, cap, width)
        [alone] = beams(packed, some_of(keys, [i]), [cap], width)
        for found in (together[i], alone):
            assert [b.tokens for b in found] == [b.tokens for b in right]
            likely = [b.log_probability for b in right]
            assert [b.log_probability for b in found] == pytest.approx(likely, abs=DECIDED / 3)
    lengths = [{len(b.tokens) for b in found} for found in together]
    assert width == 1 or any(len(of_clip) > 1 for of_clip in lengths), "all end together"


def test_one_beam_is_the_greedy_transcript(sharp_base) -> None:
    packed = packed_forward(sharp_base.net, merged=True)
    keys = keys_of(packed, CLIPS)
    assert [b.tokens for [b] in beams(packed, keys, CAPS, 1)] == greedy(packed, keys, CAPS)


def test_fewer_words_than_beams(tiny_base) -> None:
    """At the first place there are only as many beams as there are words."""
    packed = packed_forward(tiny_base.net, merged=True)
    keys = keys_of(packed, CLIPS[:1])
    words = packed.head.words
    [found] = beams(packed, keys, [1], words + 5)
    assert len(found) == words
    assert sum(np.exp([b.log_probability for b in found])) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("texts", "likely", "place"),
    [
        (["I see it.", "I saw it.", "I saw it!"], [-1.0, -1.1, -1.2], 1),
        (["", "I saw it", "I saw him", "I saw it now"], [-0.5, -1.0, -1.1, -1.2], 1),
        (["one of two", "one or two"], [-1.0, -1.0], 0),
        (
            ["", "hey hey", "hey, ho"],
            [-0.03, -14.0, -15.0],
            0,
        ),  # inventions agree, and weigh little
        (["alone"], [-3.0], 0),
    ],
)
def test_the_consensus_is_nearest_to_the_others(texts, likely, place) -> None:
    assert consensus(texts, likely) == place


def test_case_marks_and_number_words_are_no_distance() -> None:
    texts = ["Twenty men, then.", "20 men then", "no men then"]
    assert consensus(texts, [-2.0, -2.0, -2.0]) == 0


def heard(monkeypatch, base: Base, plain: str, found: list[str], **how: Any) -> Any:
    """A transcriber's answer where the greedy transcript and the beams are these; `...` at the end
    stands for one that comes to no end."""

    def ids(text: str) -> list[int]:
        tokens: Any = base.tokenizer(text.removesuffix("..."), add_special_tokens=False)[
            "input_ids"
        ]
        eos: Any = base.net.config.eos_token_id
        return tokens if text.endswith("...") else [*tokens, eos]

    lists = [Beam(ids(text), -1.0 - i / 10) for i, text in enumerate(found)]
    monkeypatch.setattr(transcribing, "greedy", lambda *_: [ids(plain), ids("Well.")])
    monkeypatch.setattr(transcribing, "beams", lambda _, keys, caps, width: [lists] * len(caps))
    return Transcriber(base, **how)([noise(0, 1.0), noise(1, 1.2)], TokenCap(6.5, 8))


def test_a_transcript_without_an_end_gives_way_to_the_consensus(monkeypatch, tiny_base) -> None:
    """And no other transcript changes."""
    loop = "ha ha ha ha ha ha ha ha..."
    first, second = heard(monkeypatch, tiny_base, loop, [loop, "What?", "What is?", "What?!"])
    assert first.text == "What?"
    assert (first.greedy.text, first.greedy.truncated) == ("ha ha ha ha ha ha ha ha", True)
    assert (second.text, second.greedy) == ("Well.", None)


def test_a_loop_stays_where_no_beam_comes_to_an_end(monkeypatch, tiny_base) -> None:
    loop = "ha ha ha ha ha ha ha ha"
    first, _ = heard(monkeypatch, tiny_base, loop, [loop, f"{loop} ha..."])
    assert (first.text, first.greedy) == (loop, None)


def test_weights_that_are_no_numbers_leave_the_greedy_transcript(monkeypatch, tiny_base) -> None:
    loop = "ha ha ha ha ha ha ha ha..."
    first, _ = heard(monkeypatch, tiny_base, loop, [])
    assert (first.text, first.greedy) == ("ha ha ha ha ha ha ha ha", None)


def test_what_other_runtimes_write_can_be_asked_for(monkeypatch, tiny_base) -> None:
    loop = "ha ha ha ha ha ha ha ha..."
    first, _ = heard(monkeypatch, tiny_base, loop, ["What?", "What?"], mends_loops=False)
    assert first.text == "ha ha ha ha ha ha ha ha"


def test_consensus_is_of_every_clip_where_it_is_asked_for(monkeypatch, tiny_base) -> None:
    found = heard(monkeypatch, tiny_base, "Ill.", ["All", "Wall", "All"], decoding="consensus")
    assert [t.text for t in found] == ["All", "All"]
