"""How well a transcript fits its audio: what hearing it adds to the text's likelihood.

A model finds some texts likelier than others whatever it hears, and some voices hard whatever they
say, so a loss alone does not tell a wrong transcript from a hard one. What its own audio adds to
what other clips' audio makes of the same text does: pointwise mutual information, a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from moontune.evaluation.screening.mismatch import parts_of
from moontune.evaluation.screening.suspects import Fit
from moontune.languages.table import current
from moontune.models.architectures.registry import packed_forward
from moontune.models.base_model import Base, target_ids
from moontune.models.packed.forward import PackedForward
from moontune.models.packed.layout import PASS_FRAMES, CrossKeys, Layout, joined, packs_of
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.progress import Progress, no_progress

if TYPE_CHECKING:
    from moontune.data.manifest import Utterance
    from moontune.models.transcriber import LoadAudio

OTHERS = 4  # clips that a text is tried with beside its own
_TOGETHER = 12  # clips of like length
_ALIKE = 0.5  # of the words in common: a clip of such a text is no other


class FitStore(Protocol):
    """Fits that were computed before."""

    def known_fit(self, u: Utterance) -> Fit | None: ...

    def keep_fits(self, utterances: Sequence[Utterance], fits: Sequence[Fit]) -> None: ...


@torch.no_grad()
def transcript_fits(
    base: Base,
    utterances: Sequence[Utterance],
    load_audio: LoadAudio,
    dtype: torch.dtype,
    group: ProcessGroup = SINGLE,
    progress: Progress = no_progress,
    *,
    store: FitStore | None = None,
) -> list[Fit]:
    """The fit of every utterance's label, in their order; `base.net` may carry an adapter.

    The processes of `group` share the work; which clips a text is tried with does not depend on
    how many there are, nor on what the `store` knows of the same utterances; it gets new ones as
    soon as they are computed.
    """
    packed = packed_forward(base.net, dtype)
    order = np.argsort([u.duration_or_1s for u in utterances], kind="stable").tolist()
    batches = [list(part) for part in np.array_split(order, max(1, len(order) // _TOGETHER))]
    found: list[tuple[int, Fit]] = []
    mine = group.shard(batches, lambda batch: sum(utterances[i].duration_or_1s for i in batch))
    for batch in mine:
        part = [utterances[i] for i in batch]
        fits = [fit for u in part if store and (fit := store.known_fit(u))]
        if len(fits) < len(part):
            fits = _fits(packed, base, part, load_audio)
            if store:
                store.keep_fits(part, fits)
        found += zip(batch, fits, strict=True)
        progress(len(found), sum(map(len, mine)), "transcripts held against their audio")
    return [fit for _, fit in sorted(group.gather(found), key=lambda pair: pair[0])]


def _fits(
    packed: PackedForward, base: Base, utterances: Sequence[Utterance], load_audio: LoadAudio
) -> list[Fit]:
    fronts = (packed.features(load_audio(u)) for u in utterances)
    most = PASS_FRAMES[packed.device.type]
    keys = joined([packed.cross_keys(packed.encode(clips)) for clips in packs_of(fronts, most)])
    labels = [target_ids(base.tokenizer, u.label, packed.eos) for u in utterances]

    def cost(pairs: Sequence[tuple[int, int]]) -> list[float]:
        """Of (text, clip) pairs, nats a token."""
        ids = [labels[text] for text, _ in pairs]
        losses = packed.losses(_chosen(keys, [clip for _, clip in pairs]), ids) if pairs else []
        return [loss / len(part) for loss, part in zip(losses, ids, strict=True)]

    own = cost([(i, i) for i in range(len(labels))])
    others: list[list[float]] = [[] for _ in labels]
    partners = _partners(utterances)
    for turn in range(OTHERS):
        pairs = [(i, clips[turn]) for i, clips in enumerate(partners) if turn < len(clips)]
        for (text, _), loss in zip(pairs, cost(pairs), strict=True):
            others[text].append(loss)
    return [Fit(loss, tuple(rest)) for loss, rest in zip(own, others, strict=True)]


def _partners(utterances: Sequence[Utterance]) -> list[list[int]]:
    """For each of some utterances, others of them, at most `OTHERS`, that say something else."""
    words = [parts_of(u.text, current().spaced) for u in utterances]
    count = len(words)

    def alike(a: frozenset[str], b: frozenset[str]) -> bool:
        return 2 * len(a & b) >= _ALIKE * (len(a) + len(b))

    return [
        [j for j in (*range(i + 1, count), *range(i)) if not alike(words[i], words[j])][:OTHERS]
        for i in range(count)
    ]


def _chosen(keys: CrossKeys, clips: Sequence[int]) -> CrossKeys:
    """Keys and values of some of the clips, in that order."""
    lengths = keys.layout.lengths
    layers = []
    for rows in keys.layers:
        parts = rows[: keys.layout.count].split(list(lengths))
        layers.append(torch.cat([parts[i] for i in clips]))
    return CrossKeys(layers, Layout([lengths[i] for i in clips], rows.device))
