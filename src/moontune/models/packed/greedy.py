"""Greedy transcripts of several clips at once, equal to `generate` on each alone.

Every clip stands at a token of its own: it begins behind what a text of it shares with what the
model writes, and clips come while others are on their way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from moontune.models.packed.forward import Forced, PackedForward
from moontune.models.packed.layout import CrossKeys, Layout
from moontune.models.packed.rotary import rotate

# Clips that have ended leave their group once this share of it has; on a GPU, where looking costs a
# wait, it is looked for every so many tokens only.
_LEAVE_AT = 0.25
_CHECK_EVERY = {"cpu": 1, "cuda": 8, "mps": 8}


@torch.no_grad()
def greedy(packed: PackedForward, cross_keys: CrossKeys, caps: Sequence[int]) -> list[list[int]]:
    """Token ids of each clip without the start token, EOS kept; at most its own cap of tokens."""
    writing = Writing(packed)
    writing.add(range(len(caps)), cross_keys, caps)
    found: dict[int, list[int]] = {}
    for some in writing.until(0):
        found |= zip(some.clips, some.tokens, strict=True)
    return [found[i] for i in range(len(caps))]


class Writing:
    """Clips that are being written; they come in groups, and leave as they end."""

    def __init__(self, packed: PackedForward) -> None:
        self._packed = packed
        self._groups: list[_Group] = []

    def add(
        self,
        clips: Sequence[int],
        cross_keys: CrossKeys,
        caps: Sequence[int],
        texts: Forced | None = None,
    ) -> None:
        """Encoded clips by the numbers they go by, and the most tokens of each. As far as the model
        writes what is in a clip's text, it is written at once."""
        group = _Group(self._packed, clips, cross_keys, caps)
        if texts:
            group.begin(texts)
        self._groups.append(group)

    def until(self, frames: int) -> Iterator[Written]:
        """Write on until clips of no more than so many frames in all are left."""
        while True:
            for group in self._groups:
                if written := group.leave():
                    yield written
            self._groups = [group for group in self._groups if group.clips]
            if sum(group.frames for group in self._groups) <= frames:
                return
            for _ in range(_CHECK_EVERY[self._packed.device.type]):
                self._next()

    @torch.no_grad()
    def _next(self) -> None:
        """One more token of every clip."""
        packed, groups = self._packed, self._groups
        places = [place for group in groups for place in group.look()]
        rotations = packed.rotary.rotations_at(*places)
        sizes = [len(group.clips) for group in groups]
        x = packed.embedding[torch.cat([group.last for group in groups])]
        for number, layer in enumerate(packed.decoder):
            q, k, v = layer.attention.qkv(layer.norms[0](x)).float().chunk(3, dim=-1)
            q, k = rotate(q, rotations, packed.heads), rotate(k, rotations, packed.heads)
            parts = zip(groups, q.split(sizes), k.split(sizes), v.split(sizes), strict=True)
            found = [group.attend_back(number, *of_group) for group, *of_group in parts]
            x = x + layer.attention.out(torch.cat(found))
            q = layer.cross.q(layer.norms[1](x)).float().split(sizes)
            found = [group.attend(number, part) for group, part in zip(groups, q, strict=True)]
            x = x + layer.cross.out(torch.cat(found))
            x = x + layer.mlp(layer.norms[2](x))
        likeliest = packed.head(packed.decoder_norm(x)).argmax(dim=-1)
        for group, tokens in zip(groups, likeliest.split(sizes), strict=True):
            group.add(tokens)


@dataclass
class _Clip:
    number: int  # that it goes by
    frames: int
    cap: int
    eos: int
    tokens: list[int] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.tokens[-1:] == [self.eos] or len(self.tokens) == self.cap

    def write(self, tokens: Sequence[int]) -> None:
        if not self.ended:
            self.tokens = until_end([*self.tokens, *tokens][: self.cap], self.eos)


class _Group:
    """Clips that came together, and what the decoder attends to while it writes them."""

    def __init__(
        self,
        packed: PackedForward,
        numbers: Sequence[int],
        cross_keys: CrossKeys,
        caps: Sequence[int],
    ) -> None:
        layout, self._heads = cross_keys.layout, packed.heads
        facts = zip(numbers, layout.lengths, caps, strict=True)
        self.clips = [_Clip(*of_clip, packed.eos) for of_clip in facts]
        self._layers = [_Layer.of(kv, layout, packed.heads, max(caps)) for kv in cross_keys.layers]
        self._hidden = hidden_frames(layout, packed.heads)
        self.last = torch.full((len(caps),), packed.start, device=packed.device)  # tokens
        self._pending: list[torch.Tensor] = []  # tokens that nobody has looked at, (clips,) each
        self._places, self._seen, self._later = self.last, 0, None

    @property
    def frames(self) -> int:
        return sum(clip.frames for clip in self.clips)

    def begin(self, texts: Forced) -> None:
        """Write what each text begins with, and the first token that is not the text's."""
        for layer, past in zip(self._layers, texts.past, strict=True):
            layer.remember(past, texts.layout, self._heads)
        for clip, text, likeliest in zip(self.clips, texts.labels, texts.likeliest, strict=True):
            clip.write(_shared(text, likeliest))
        self.last = torch.tensor([clip.tokens[-1] for clip in self.clips], device=self.last.device)

    def look(self) -> list[int]:
        """The place of each clip's last token; the tokens up to there are seen from it."""
        most = self._layers[0].past_keys.shape[1]  # a clip that has ended may be beyond
        places = [min(len(clip.tokens) + len(self._pending), most - 1) for clip in self.clips]
        at, device = torch.tensor(places), self.last.device
        self._places, self._seen, self._later = at.to(device), max(places) + 1, None
        if min(places) < max(places):
            later = torch.arange(self._seen) > at[:, None]
            bias = torch.zeros(later.shape).masked_fill_(later, float("-inf")).to(device)
            self._later = bias.repeat_interleave(self._heads, dim=0)[:, None]
        return places

    def attend_back(
        self, number: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        """Attention of a layer to the tokens so far, (clips, width); keeps the last one's."""
        layer = self._layers[number]
        clips = torch.arange(len(q), device=q.device)
        for past, new in ((layer.past_keys, k), (layer.past_values, v)):
            of_clips = past.unflatten(0, (-1, self._heads))
            of_clips[clips, :, self._places] = new.unflatten(-1, (self._heads, -1))
        past = (layer.past_keys[:, : self._seen], layer.past_values[:, : self._seen])
        return _attend_one(q, *past, self._heads, self._later)

    def attend(self, number: int, q: torch.Tensor) -> torch.Tensor:
        """Attention of a layer to the clips' frames, (clips, width)."""
        layer = self._layers[number]
        return _attend_one(q, layer.keys, layer.values, self._heads, self._hidden)

    def add(self, tokens: torch.Tensor) -> None:
        """The next token of each clip, (clips,)."""
        self.last = tokens
        self._pending.append(tokens)

    def leave(self) -> Written | None:
        """Clips that have ended leave, once they are enough."""
        if self._pending:
            block = torch.stack(self._pending, dim=1).tolist()
            self._pending = []
            for clip, tokens in zip(self.clips, block, strict=True):
                clip.write(tokens)
        gone = [i for i, clip in enumerate(self.clips) if clip.ended]
        if len(gone) < _LEAVE_AT * len(self.clips):
            return None
        left = [(self.clips[i], self._rows([i])) for i in gone]
        written = Written(
            [clip.number for clip, _ in left],
            [clip.tokens for clip, _ in left],
            [(clip.frames, rows) for clip, rows in left],
            [(layer.keys, layer.values) for layer in self._layers],
        )
        self._keep([i for i, clip in enumerate(self.clips) if not clip.ended])
        return written

    def _rows(self, clips: Sequence[int]) -> torch.Tensor:
        """Of some clips' heads, (clips * heads,)."""
        firsts = torch.tensor(clips)[:, None] * self._heads
        return (firsts + torch.arange(self._heads)).flatten().to(self.last.device)

    def _keep(self, stay: Sequence[int]) -> None:
        self.clips = [self.clips[i] for i in stay]
        if not stay:
            return
        rows, frames = self._rows(stay), max(clip.frames for clip in self.clips)
        self._layers = [layer.some(rows, frames) for layer in self._layers]
        self._hidden = None if self._hidden is None else self._hidden[rows, :, :frames]
        self.last = self.last[torch.tensor(stay, device=self.last.device)]


@dataclass(frozen=True)
class Written:
    """Clips whose transcripts are whole."""

    clips: list[int]
    tokens: list[list[int]]  # without the start token, EOS kept
    _of_clips: list[tuple[int, torch.Tensor]]  # each one's frames, and its heads' rows
    _frames: list[tuple[torch.Tensor, torch.Tensor]]  # keys and values by layer

    @cached_property
    def cross_keys(self) -> CrossKeys:
        """What they are written from."""
        layers = [
            torch.cat(
                [
                    torch.cat([t[rows, :n].transpose(0, 1).flatten(1) for t in of_layer], dim=1)
                    for n, rows in self._of_clips
                ]
            )
            for of_layer in self._frames
        ]
        return CrossKeys(layers, Layout([n for n, _ in self._of_clips], layers[0].device))


@dataclass
class _Layer:
    """Keys and values that a decoder layer attends to while it writes; the first dimension is
    clips times heads."""

    keys: torch.Tensor  # of the clip's frames, (clips * heads, frames, head_dim)
    values: torch.Tensor
    # Of the tokens so far, (clips * heads, most tokens, head_dim); zero where there is none yet.
    past_keys: torch.Tensor
    past_values: torch.Tensor

    @classmethod
    def of(cls, kv: torch.Tensor, layout: Layout, heads: int, most: int) -> _Layer:
        keys, values = frame_keys(kv, layout, heads)
        past = keys.new_zeros(len(keys), most, keys.shape[-1])
        return cls(keys, values, past, torch.zeros_like(past))

    def remember(self, past: tuple[torch.Tensor, torch.Tensor], layout: Layout, heads: int) -> None:
        """Keys and values of the clips' first tokens, (rows, width) each."""
        for kept, rows in zip((self.past_keys, self.past_values), past, strict=True):
            of_heads = by_head(rows, layout, heads)[:, : kept.shape[1]]
            kept[:, : of_heads.shape[1]] = of_heads

    def some(self, rows: torch.Tensor, frames: int) -> _Layer:
        return _Layer(
            self.keys[rows, :frames],
            self.values[rows, :frames],
            self.past_keys[rows],
            self.past_values[rows],
        )


def _shared(text: Sequence[int], likeliest: Sequence[int]) -> list[int]:
    """What the decoder writes, given what it finds likeliest before each token of a text: as much
    as the text is that, and one token more."""
    unlike = (i for i, token in enumerate(text) if likeliest[i] != token)
    return list(likeliest[: next(unlike, len(text)) + 1])


def until_end(tokens: list[int], eos: int) -> list[int]:
    """Tokens up to the first EOS, which is kept."""
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens


def by_head(rows: torch.Tensor, layout: Layout, heads: int) -> torch.Tensor:
    """(rows, heads * head_dim) of clips end to end as (clips * heads, longest, head_dim)."""
    return layout.pad(rows).unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)


def frame_keys(kv: torch.Tensor, layout: Layout, heads: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of the clips' frames, (clips * heads, frames, head_dim) each."""
    keys, values = (by_head(half, layout, heads) for half in kv.float().chunk(2, dim=-1))
    return keys, values


def hidden_frames(layout: Layout, heads: int) -> torch.Tensor | None:
    """(clips * heads, 1, frames): -inf where a clip has no frame; None where all are as long."""
    if len(set(layout.lengths)) == 1:
        return None
    bias = torch.zeros(layout.real.shape, device=layout.real.device)
    bias.masked_fill_(~layout.real, float("-inf"))
    return bias.repeat_interleave(heads, dim=0)[:, None]


def _attend_one(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: int, bias: torch.Tensor | None
) -> torch.Tensor:
    """Attention of one query a clip, (clips, width), over (clips * heads, places, head_dim)."""
    return attend(q.reshape(len(q) * heads, 1, -1), keys, values, bias).view(len(q), -1)


def attend(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Attention of (sets, queries, head_dim) over (sets, places, head_dim)."""
    scale = q.shape[-1] ** -0.5
    if bias is None:
        scores = torch.bmm(q, keys.transpose(1, 2)).mul_(scale)
    else:
        scores = torch.baddbmm(bias, q, keys.transpose(1, 2), alpha=scale)
    return torch.bmm(torch.softmax(scores, dim=-1), values)
