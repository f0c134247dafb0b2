"""The self-test: what moontune's figures rest on, tried out on a base.

Every check computes one thing twice, moontune's way and by hand or by transformers' own, so that a
new version that changed either is told before an adapter is spoilt by it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moontune.config.schema import LoraConfig, TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import Utterance
from moontune.doctor.fixtures import Fixture
from moontune.evaluation.evaluate import Prediction, evaluate
from moontune.models.adapter import attach_lora, load_adapter, save_adapter
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base
from moontune.models.packed.layout import pack
from moontune.training.losses import LossComputer

SAME = 1e-4  # relative: what sums in another order may differ by in float32
ALIGNED = 3.0  # nats a token on matching text: an aligned base has 1 to 2, a shifted one 6 to 10
_CAP = TokenCap(6.5, 8)
STACK = (
    "the versions under moontune changed: install those that pyproject.toml names, and report it"
)


class Broken(Exception):
    """A check that did not hold; the text says what was found."""


def labels_end_in_eos(s: Fixture) -> str:
    """Labels are the text's tokens and EOS; the tokenizer's own template has BOS and no EOS."""
    made = LossComputer(s.base, s.hear, torch.float32).labels(s.utterances)
    bos = s.base.tokenizer.bos_token_id
    for ids, u in zip(made, s.utterances, strict=True):
        if ids[-1:] != [s.eos]:
            raise Broken(f"EOS ({s.eos}) is missing from the labels of {u.label!r}")
        if bos in ids:
            raise Broken(f"BOS ({bos}) is in the labels of {u.label!r}")
        if ids != s.labels(u):
            raise Broken(f"{u.label!r} has the labels {ids}, by hand {s.labels(u)}")
    return f"{sum(map(len, made))} target tokens, EOS last, no BOS"


@torch.no_grad()
def labels_are_shifted_once(s: Fixture) -> str:
    """Transformers' loss is the cross-entropy of each token from the ones before it."""
    for u in s.utterances:
        theirs, by_hand = _their_loss(s, s.labels(u), u), _by_hand(s, u)
        if _unlike(theirs, by_hand):
            raise Broken(
                f"transformers' loss is {theirs:.4f}, a cross-entropy by hand {by_hand:.4f}: "
                "labels are shifted twice, or not all are counted"
            )
    return f"transformers' loss is the cross-entropy by hand ({by_hand:.3f} nats)"


@torch.no_grad()
def padding_is_masked_by_length(s: Fixture) -> str:
    """-100 behind a label changes nothing, though pad and EOS are one id and EOS is a target."""
    for u in s.utterances:
        alone, padded = (_their_loss(s, s.labels(u) + more, u) for more in ([], [-100] * 3))
        if _unlike(alone, padded):
            raise Broken(f"a label's loss is {alone:.4f}, padded with -100 it is {padded:.4f}")
        whole, without = (_by_hand(s, u, last=last) for last in (True, False))
        if _unlike(whole, without) and not _unlike(alone, without):
            raise Broken(f"the loss, {alone:.4f}, leaves the EOS out: padding is masked by its id")
    return "labels of any length, the EOS counted"


@torch.no_grad()
def batches_are_exact(s: Fixture) -> str:
    """Clips of unlike length together give what transformers gives for each alone."""
    done = evaluate(s.base, s.utterances, s.hear, cap=_CAP)
    for u, p in zip(s.utterances, done.predictions, strict=True):
        ids = s.labels(u)
        theirs = _their_loss(s, ids, u) * len(ids)
        if p.target_tokens != len(ids) or _unlike(p.loss, theirs):
            raise Broken(f"a clip's loss is {p.loss:.4f} in a batch, {theirs:.4f} alone")
        written = _their_tokens(s.base, s.hear(u))
        if (tokens := _greedy(p)[0]) != written:
            raise Broken(f"a clip's tokens are {tokens} in a batch, {written} alone")
    trained = LossComputer(s.base, s.hear, torch.float32).mean(s.utterances)
    if _unlike(trained, done.loss):
        raise Broken(f"training's loss is {trained:.4f}, the evaluation's {done.loss:.4f}")
    return f"{len(done.predictions)} clips of unlike length, losses and tokens as alone"


def _greedy(p: Prediction) -> tuple[list[int], bool]:
    """Token ids of a greedy transcript, and whether the cap ended it, before beams stand in."""
    plain = p.looped
    return (p.tokens, p.truncated) if plain is None else (plain["tokens"], plain["truncated"])


@torch.no_grad()
def greedy_stops(s: Fixture) -> str:
    """Writing ends with EOS, at the token where transformers ends it, or at the cap."""
    base = s.copy()
    net = base.net
    free = [_greedy(p)[0] for p in evaluate(base, s.utterances, s.hear, cap=_CAP).predictions]
    # Take what one clip writes late for EOS: then something has to end there.
    longest = max(free, key=lambda ids: len(dict.fromkeys(ids)))
    stop = list(dict.fromkeys(longest))[-1]
    net.config.eos_token_id = net.generation_config.eos_token_id = stop
    ended = 0
    again = evaluate(base, s.utterances, s.hear, cap=_CAP).predictions
    for u, p in zip(s.utterances, again, strict=True):
        most = _CAP(len(s.hear(u)) / SAMPLE_RATE_HZ)
        tokens, truncated = _greedy(p)
        at_end = tokens[-1:] == [stop]
        if stop in tokens[:-1] or len(tokens) > most or truncated == at_end:
            raise Broken(f"greedy writing goes on behind EOS ({stop}) or its cap: {tokens}")
        if tokens != (theirs := _their_tokens(base, s.hear(u))):
            raise Broken(f"greedy writing ends at {tokens}, transformers' at {theirs}")
        ended += at_end
    if not ended:
        raise Broken("no clip ended at EOS")
    return f"{ended} of {len(free)} clips end at EOS, the others at their cap"


@torch.no_grad()
def untrained_adapter_changes_nothing(s: Fixture) -> str:
    """An adapter just attached is the base, to the bit; trained, it is not."""
    base = s.copy()
    before = _losses(base, s)
    model = attach_lora(base, LoraConfig(), 1)
    if (after := _losses(base, s)) != before:
        raise Broken(f"an untrained adapter changes the loss by {_gap(after, before):.2g}")
    _train(model)
    if _losses(base, s) == before:
        raise Broken("an adapter with other weights changes nothing: it is not heard")
    return "losses the same to the bit"


@torch.no_grad()
def adapter_switched_off_is_the_base(s: Fixture) -> str:
    base = s.copy()
    before = _losses(base, s)
    model = attach_lora(base, LoraConfig(), 1)
    _train(model)
    with model.disable_adapter():
        off = _losses(base, s)
    if off != before:
        raise Broken(f"with disable_adapter the loss differs by {_gap(off, before):.2g}")
    return "losses the same to the bit"


@torch.no_grad()
def saved_adapter_comes_back(s: Fixture) -> str:
    """Saved and loaded onto the base again, the difference is 0.0."""
    base = s.copy()
    model = attach_lora(base, LoraConfig(), 1)
    _train(model)
    tuned = _losses(base, s)
    again = s.copy()
    with tempfile.TemporaryDirectory(prefix="moontune-doctor-") as folder:
        save_adapter(model.eval(), base, Path(folder) / "adapter")
        load_adapter(again, Path(folder) / "adapter")
    if (back := _losses(again, s)) != tuned:
        raise Broken(f"a saved and reloaded adapter's loss differs by {_gap(back, tuned):.2g}")
    return "difference 0.0"


@torch.no_grad()
def base_is_aligned(s: Fixture) -> str:
    """A base scores 1 to 2 nats a token on what is said; with shifted labels 6 to 10."""
    loss = evaluate(s.base, s.utterances, s.hear, cap=_CAP).loss
    if not loss <= ALIGNED:
        raise Broken(
            f"{loss:.2f} nats a token on speech with known text, where a base has 1 to 2: labels "
            "are misaligned, or these are no speech model's weights"
        )
    return f"{loss:.2f} nats a token on {len(s.utterances)} clips with known text"


CHECKS: dict[str, Callable[[Fixture], str]] = {
    "labels": labels_end_in_eos,
    "shift": labels_are_shifted_once,
    "label padding": padding_is_masked_by_length,
    "batches": batches_are_exact,
    "greedy": greedy_stops,
    "fresh adapter": untrained_adapter_changes_nothing,
    "adapter off": adapter_switched_off_is_the_base,
    "save, reload": saved_adapter_comes_back,
}
OF_BASES: dict[str, Callable[[Fixture], str]] = {  # of a real one, which takes longer
    **{name: CHECKS[name] for name in ("labels", "shift", "batches", "save, reload")},
    "aligned": base_is_aligned,
}


def _losses(base: Base, s: Fixture) -> list[float]:
    """Of every target token of every clip, all in one pass."""
    packed = packed_forward(base.net)
    cross_keys = packed.cross_keys(packed.encode(pack([*map(packed.features, s.clips.values())])))
    return packed.token_losses(cross_keys, [s.labels(u) for u in s.utterances]).tolist()


def _train(model: Any) -> None:
    """Other weights in every part of the adapter, without training."""
    for weights in model.parameters():
        if weights.requires_grad:
            weights.add_(0.02)


def _their_loss(s: Fixture, ids: list[int], u: Utterance) -> float:
    """Transformers' own mean loss of a clip alone."""
    heard = s.base.architecture.own_inputs(s.hear(u))
    return float(s.base.net(**heard, labels=torch.tensor([ids])).loss)


def _by_hand(s: Fixture, u: Utterance, *, last: bool = True) -> float:
    """Mean cross-entropy of the labels, each told the ones before it; or of all but the last."""
    net = s.base.net
    ids = s.labels(u)
    told = torch.tensor([[net.config.decoder_start_token_id, *ids[:-1]]])
    heard = s.base.architecture.own_inputs(s.hear(u))
    logits = net(**heard, decoder_input_ids=told).logits[0]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids), reduction="none")
    return float((losses if last else losses[:-1]).mean())


def _their_tokens(base: Base, clip: np.ndarray) -> list[int]:
    """The tokens that transformers writes for a clip alone, without the start token."""
    most = _CAP(len(clip) / SAMPLE_RATE_HZ)
    heard = base.architecture.own_inputs(clip)
    return base.net.generate(**heard, do_sample=False, max_length=1 + most)[0, 1:].tolist()


def _unlike(one: float, other: float) -> bool:
    return not abs(one - other) <= SAME * max(abs(one), abs(other))


def _gap(one: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
