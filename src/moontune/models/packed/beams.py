"""The most likely transcripts of several clips at once, by beam search.

A clip has `width` beams. At every place each beam may go on with any token; of all that gives, and
of the beams that have ended, the `width` most likely stay. A clip is done when all that stay have
ended: what goes on only gets less likely. Likelihood is that of the whole transcript, without a
correction for its length.

Rows are beams that go on, of all clips, end to end, so a clip's beams do not depend on the clips
beside it (to float32 rounding). Keys and values of a clip's frames are there once for all its
beams; those of the tokens so far move with the beams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from moontune.models.packed.forward import PackedForward
from moontune.models.packed.greedy import attend, frame_keys, hidden_frames, until_end
from moontune.models.packed.layout import CrossKeys
from moontune.models.packed.rotary import rotate

_LEAVE_AT = 0.25  # a clip that is done leaves the batch once this share of it has
_FINITE = torch.finfo(torch.float32).min / 2  # scores below it are of no beam


@dataclass(frozen=True)
class Beam:
    """A transcript and how likely it is."""

    tokens: list[int]  # without the start token, EOS kept
    log_probability: float  # nats, of all its tokens


@torch.no_grad()
def beams(
    packed: PackedForward, cross_keys: CrossKeys, caps: Sequence[int], width: int
) -> list[list[Beam]]:
    """Each clip's `width` most likely transcripts (fewer only where fewer exist), most likely
    first; at most its own cap of tokens each."""
    search = _Search(packed, cross_keys, caps, width)
    while search.goes_on:
        search.step()
    return search.found


class _Search:
    """A beam search between two tokens. Clips are counted as they are left in the batch."""

    def __init__(
        self, packed: PackedForward, cross_keys: CrossKeys, caps: Sequence[int], width: int
    ) -> None:
        clips, layout, device = len(caps), cross_keys.layout, packed.device
        self._packed, self._width, self._device = packed, width, device
        self._frames = [frame_keys(kv, layout, packed.heads) for kv in cross_keys.layers]
        self._hidden = hidden_frames(layout, packed.heads)
        self._lengths = torch.tensor(layout.lengths, device=device)
        self._caps = torch.tensor(list(caps), device=device)
        self._place = 0
        # Beams that go on, (rows,) each, in the order of their clips.
        self._clip = torch.arange(clips, device=device)
        self._slot = torch.zeros_like(self._clip)  # which of its clip's
        self._scores = torch.zeros(clips, device=device)
        self._written = torch.empty(clips, 0, dtype=torch.long, device=device)
        # Keys and values of the tokens so far: (layers, 2, rows, heads, tokens, head_dim).
        self._past = torch.empty(len(packed.decoder), 2, clips, packed.heads, 0, packed.head_dim)
        self._past = self._past.to(device)
        # Beams that have ended, (clips, width).
        self._ended = torch.full((clips, width), float("-inf"), device=device)
        self._ended_tokens = torch.full((clips, width, max(caps)), packed.eos, device=device)
        self._alive = list(range(clips))  # the clips in the batch, by their place in `found`
        self.found: list[list[Beam]] = [[] for _ in caps]
        self._caps_of = list(caps)

    @property
    def goes_on(self) -> bool:
        return bool(self._alive)

    def step(self) -> None:
        """One more token for every beam that goes on."""
        width, device = self._width, self._device
        likely, tokens = self._likely()
        clips = len(self._alive)
        # What a clip may go on with: its beams' likeliest tokens, and the beams that have ended.
        onward = torch.full((clips, width, width), float("-inf"), device=device)
        onward[self._clip, self._slot, : likely.shape[1]] = likely
        every = torch.cat([onward.flatten(1), self._ended], dim=1)
        scores, chosen = every.topk(width, dim=1)
        had_ended = chosen >= width * width
        rows = torch.zeros(clips, width, dtype=torch.long, device=device)
        rows[self._clip, self._slot] = torch.arange(len(self._clip), device=device)
        parents = rows.gather(1, (chosen // width).clamp(max=width - 1))
        token = tokens[parents, (chosen % width).clamp(max=tokens.shape[1] - 1)]
        self._place += 1
        real = scores > _FINITE
        ends = ~had_ended & ((token == self._packed.eos) | (self._caps[:, None] <= self._place))
        goes_on = real & ~had_ended & ~ends
        self._end(scores, chosen - width * width, had_ended, ends & real, parents, token)
        self._clip, slot = goes_on.nonzero(as_tuple=True)
        kept = parents[self._clip, slot]
        self._scores = scores[self._clip, slot]
        self._written = torch.cat([self._written[kept], token[self._clip, slot, None]], dim=1)
        counts = torch.bincount(self._clip, minlength=clips)
        starts = counts.cumsum(0) - counts
        self._slot = torch.arange(len(kept), device=device) - starts[self._clip]
        self._past = self._past[:, :, kept]
        self._leave(counts)

    def _likely(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of every beam with each of its likeliest next tokens, (rows, width), and these."""
        logits = self._logits()
        top = logits.topk(min(self._width, logits.shape[1]), dim=1)
        sums = torch.logsumexp(logits, dim=1, keepdim=True)
        return self._scores[:, None] + top.values - sums, top.indices

    def _logits(self) -> torch.Tensor:
        """(rows, words) of what may come next; fills the past."""
        packed, heads, width = self._packed, self._packed.heads, self._width
        rows, clips = len(self._clip), len(self._alive)
        rotations = packed.rotary.rotations_at(self._place)
        last = self._written[:, -1] if self._place else torch.full_like(self._clip, packed.start)
        x = packed.embedding[last]
        past = self._past.new_empty(*self._past.shape[:4], self._place + 1, self._past.shape[5])
        past[..., :-1, :] = self._past
        self._past = past
        asking = x.new_zeros(clips, width, heads, self._past.shape[5])
        for number, layer in enumerate(packed.decoder):
            q, k, v = layer.attention.qkv(layer.norms[0](x)).float().chunk(3, dim=-1)
            q, k = rotate(q, rotations, heads), rotate(k, rotations, heads)
            keys, values = past[number]
            keys[..., -1, :] = k.unflatten(-1, (heads, -1))
            values[..., -1, :] = v.unflatten(-1, (heads, -1))
            one = q.reshape(rows * heads, 1, -1)
            found = attend(one, keys.flatten(0, 1), values.flatten(0, 1), None)
            x = x + layer.attention.out(found.view(rows, -1))
            q = layer.cross.q(layer.norms[1](x)).float()
            asking[self._clip, self._slot] = q.unflatten(-1, (heads, -1))
            several = asking.transpose(1, 2).flatten(0, 1)
            found = attend(several, *self._frames[number], self._hidden)
            found = found.unflatten(0, (clips, heads)).transpose(1, 2).flatten(2)
            x = x + layer.cross.out(found[self._clip, self._slot])
            x = x + layer.mlp(layer.norms[2](x))
        return packed.head(packed.decoder_norm(x)).float()

    def _end(
        self,
        scores: torch.Tensor,
        before: torch.Tensor,
        had_ended: torch.Tensor,
        ends: torch.Tensor,
        parents: torch.Tensor,
        token: torch.Tensor,
    ) -> None:
        """Note the beams that have ended: those that had `before`, and those that end now."""
        ended = torch.where(had_ended | ends, scores, float("-inf"))
        most = self._ended_tokens.shape[2]
        index = before.clamp(min=0)[:, :, None].expand(-1, -1, most)
        tokens = self._ended_tokens.gather(1, index)
        clip, slot = ends.nonzero(as_tuple=True)
        tokens[clip, slot, : self._place - 1] = self._written[parents[clip, slot]]
        tokens[clip, slot, self._place - 1] = token[clip, slot]
        tokens[clip, slot, self._place :] = self._packed.eos
        self._ended, self._ended_tokens = ended, tokens

    def _leave(self, counts: torch.Tensor) -> None:
        """Let clips that are done leave the batch, once enough of them are."""
        done = (counts == 0).cpu()
        if not done.any() or (float(done.float().mean()) < _LEAVE_AT and not done.all()):
            return
        scores, tokens = self._ended.tolist(), self._ended_tokens.tolist()
        for place in done.nonzero()[:, 0].tolist():
            clip = self._alive[place]
            cap = self._caps_of[clip]
            self.found[clip] = [
                Beam(until_end(ids[:cap], self._packed.eos), score)
                for score, ids in zip(scores[place], tokens[place], strict=True)
                if score > _FINITE
            ]
        stay = (~done).nonzero()[:, 0]
        self._alive = [self._alive[place] for place in stay.tolist()]
        if not self._alive:
            return
        stay, heads = stay.to(self._device), self._packed.heads
        new_places = torch.zeros(len(done), dtype=torch.long, device=self._device)
        new_places[stay] = torch.arange(len(stay), device=self._device)
        self._clip = new_places[self._clip]
        self._caps, self._lengths = self._caps[stay], self._lengths[stay]
        self._ended, self._ended_tokens = self._ended[stay], self._ended_tokens[stay]
        frames = int(self._lengths.max())
        of_heads = (stay[:, None] * heads + torch.arange(heads, device=self._device)).flatten()
        self._frames = [(k[of_heads, :frames], v[of_heads, :frames]) for k, v in self._frames]
        if self._hidden is not None:
            self._hidden = self._hidden[of_heads, :, :frames]
