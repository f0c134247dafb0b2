"""Wrong transcripts are told from right ones, with the real model on real speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import noise

from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.screening.suspects import Fit, Judgement, can_judge
from moontune.evaluation.screening.transcript_fit import OTHERS, _partners, transcript_fits
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import target_ids
from moontune.models.packed.layout import pack
from moontune.models.transcriber import load_audio
from moontune.system.distributed import SINGLE, ProcessGroup


def said(*texts: str) -> list[Utterance]:
    return [Utterance(str(i), Path(str(i)), text, 1.0, None) for i, text in enumerate(texts)]


def test_a_text_is_tried_with_clips_that_say_something_else() -> None:
    rows = said("Stop the boat.", "stop the boat", "the boat, stop!", "It rains.", "Go home now.")
    assert _partners(rows)[0] == [3, 4]
    assert _partners(rows)[3] == [4, 0, 1, 2]
    assert _partners(said("yes", "yes")) == [[], []]


@pytest.mark.device
def test_a_fit_is_what_the_own_audio_adds(tiny_base, noise_manifest) -> None:
    """Whatever shares a pass: more audio than goes through the encoder at once, too."""
    rows, _ = read_manifest(noise_manifest)
    rows = rows[:13]

    def longer(u: Utterance) -> np.ndarray:
        return noise(int(u.id[1:]), 6.0)

    packed = packed_forward(tiny_base.net, torch.bfloat16)
    fits = transcript_fits(tiny_base, rows, longer, torch.bfloat16)
    assert {len(fit.others) for fit in fits} == {OTHERS}
    for u, fit in zip(rows, fits, strict=True):
        ids = target_ids(tiny_base.tokenizer, u.label, packed.eos)
        keys = packed.cross_keys(packed.encode(pack([packed.features(longer(u))])))
        assert fit.own == pytest.approx(packed.losses(keys, [ids])[0] / len(ids), abs=0.05)


@pytest.mark.device
def test_two_processes_find_the_fits_of_one(tiny_base, noise_manifest) -> None:
    class OfTwo(ProcessGroup):
        def gather(self, part):
            return part

    rows, _ = read_manifest(noise_manifest)
    whole, *halves = (
        transcript_fits(tiny_base, rows, load_audio, torch.float32, group)
        for group in (SINGLE, OfTwo(0, 2), OfTwo(1, 2))
    )
    assert min(map(len, halves)) > 0
    found = sorted(fit.own for half in halves for fit in half)
    assert found == pytest.approx(sorted(fit.own for fit in whole), abs=1e-4)


def test_nothing_is_said_where_no_other_text_is_there() -> None:
    fit = Fit(1.0, (2.0,))
    assert fit.nats is None
    judgement = Judgement.of("base", ["a", "b"], [fit, Fit(0.5, ())])
    assert not judgement.suspects
    assert not judgement.fits_by_chance
    assert not can_judge([fit])


def test_suspect_is_what_fits_no_better_than_other_clips() -> None:
    right = [Fit(1.0, (4.0, 5.0, 4.5, 4.0))] * 30
    wrong, hard = Fit(4.2, (4.0, 5.0, 4.5, 4.0)), Fit(3.0, (4.5, 4.6, 4.5, 4.6))
    judgement = Judgement.of("base", [str(i) for i in range(32)], [*right, wrong, hard])
    assert judgement.suspects == {"30"}
    assert judgement.share == pytest.approx(1 / 32)
    assert not judgement.fits_by_chance
    assert Judgement.of("base", ["0", "1"], [wrong, wrong]).fits_by_chance


@pytest.mark.device
def test_swapped_transcripts_fit_like_chance(adventure, bundled_base) -> None:
    rows, _ = read_manifest(adventure)
    rows = [u for u in rows if len(u.text.split()) >= 4][::8]
    assert len(rows) > 40
    wrong = {i: rows[i - 7].text for i in range(7, len(rows), 7)}
    rows = [replace(u, text=wrong.get(i, u.text)) for i, u in enumerate(rows)]
    fits = transcript_fits(bundled_base, rows, load_audio, torch.float32)
    judgement = Judgement.of("base", [str(i) for i in range(len(rows))], fits)
    found = {int(i) for i in judgement.suspects}
    assert len(found & wrong.keys()) >= 0.8 * len(wrong)
    assert len(found - wrong.keys()) <= 2
