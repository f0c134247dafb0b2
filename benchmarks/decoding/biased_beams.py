"""Key terms by a search that favours them, beside what moontune does: weighing what sounds alike.

    uv run python -m benchmarks.decoding.biased_beams outputs/CROSSVAL...

The usual way (shallow fusion): a beam search that adds a bonus to each token that goes on with a
term, by a prefix trie over the tokens of all terms, and takes it back where a term is left before
its end. Lists and clips are those of `benchmarks.decoding.key_terms`, the model is the base. Prints
Markdown: terms written, false alarms and the WER of all other words, of consensus without the list,
against the list weighed (`--bonus`), against the consensus of favoured beams, and against what any
of the 8 favoured beams has, which is the most that any choice among them could write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import tyro

from benchmarks.decoding.key_terms import PLAIN, Written, cells, counted_beside, rare_words
from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.data.manifest import read_run_manifest
from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm, places_of
from moontune.models.base_model import Base, load_base
from moontune.models.consensus import BEAMS, agreed
from moontune.models.decoding import Transcript, length_batches
from moontune.models.key_terms.weighing import KeyTerms
from moontune.models.packed import beams as search
from moontune.models.transcriber import Transcriber, load_audio
from moontune.pipeline.run_folder.run_dir import RunDir

_CLIPS = 16  # whose beams are searched at once
WEIGHED = "weighed"


@dataclass(frozen=True)
class Args:
    """Key terms by a search that favours them."""

    crossvals: tyro.conf.Positional[tuple[Path, ...]]
    """Finished cross-validations."""
    terms: int = 40
    """Of each fold's list."""
    bonus: float = 2.0
    """Nats a token, where terms are weighed."""
    bonuses: tuple[float, ...] = (1.0, 2.0, 3.0)
    """Nats a token, in the search."""
    seed: int = 42
    """Of the bootstrap."""


@dataclass
class Node:
    """Some first tokens of terms."""

    onward: dict[int, Node] = field(default_factory=dict)
    ends: bool = False  # a term


class Trie:
    """The tokens of terms, as they are written within a sentence."""

    def __init__(self, base: Base, terms: Sequence[KeyTerm]) -> None:
        tokenizer, words = base.tokenizer, int(base.net.config.vocab_size)  # type: ignore[arg-type]
        pieces = tokenizer.convert_ids_to_tokens(list(range(words)))
        self._begins = [str(piece).startswith("\u2581") for piece in pieces]
        special = set(tokenizer.all_special_ids)
        # What may follow a term that is whole: no letter.
        self.outside = torch.tensor(
            [i in special or not str(piece)[:1].isalnum() for i, piece in enumerate(pieces)]
        )
        self.root = Node()
        for term in terms:
            for spelled in {term.text, term.text.capitalize()}:
                self._add(tokenizer(f" {spelled}", add_special_tokens=False).input_ids)

    def _add(self, tokens: Sequence[int]) -> None:
        node = self.root
        for token in tokens:
            node = node.onward.setdefault(token, Node())
        node.ends = True

    def place(self, written: Sequence[int]) -> tuple[Node, int]:
        """Which first tokens of a term a text ends with, and how many; the root if none."""
        firsts = [i for i, token in enumerate(written) if self._begins[token]]
        for first in firsts:  # a term may have several words: from the longest
            node: Node | None = self.root
            for token in written[first:]:
                node = node.onward.get(token) if node else None
            if node:
                return node, len(written) - first
        return self.root, 0


class Favoured(search._Search):
    """A beam search in which tokens that go on with a term are likelier by `bonus` nats."""

    def __init__(self, trie: Trie, bonus: float, *rest: Any) -> None:
        super().__init__(*rest)
        self._trie, self._bonus = trie, bonus

    def _likely(self) -> tuple[torch.Tensor, torch.Tensor]:
        scores = torch.log_softmax(self._logits(), dim=1)
        for row, written in enumerate(self._written.tolist()):
            node, tokens = self._trie.place(written)
            onward = list(node.onward)
            going_on = scores[row, onward] + self._bonus if tokens else None
            if tokens:
                left = torch.tensor(-self._bonus * tokens)
                scores[row] += left.where(~self._trie.outside, 0.0) if node.ends else left
            scores[row, list(self._trie.root.onward)] += self._bonus
            if going_on is not None:
                scores[row, onward] = going_on
        top = scores.topk(self._width, dim=1)
        return self._scores[:, None] + top.values, top.indices


@torch.no_grad()
def favoured(
    transcriber: Transcriber, trie: Trie, bonus: float, *rest: Any
) -> list[list[tuple[Transcript, float]]]:
    """The beams of each clip and their scores, the bonus in them."""
    going = Favoured(trie, bonus, transcriber.packed, *rest, BEAMS)
    while going.goes_on:
        going.step()
    return [
        [(transcriber._transcript(b.tokens), b.log_probability) for b in of_clip]
        for of_clip in going.found
    ]


def written(run: RunDir, args: Args) -> Written:
    """All transcripts of a fold's test clips by the base."""
    config = run.config()
    base = load_base(config.model.model_id, config.model.revision, "cpu")
    terms = rare_words(run, base, args.terms)
    plain = Transcriber(base)
    writer = Transcriber(base, key_terms=KeyTerms(tuple(terms), args.bonus))
    trie, cap = Trie(base, terms), config.eval.token_cap
    utterances = read_run_manifest(run.manifest("test"))
    found: dict[tuple[str, float], dict[int, str]] = {}
    for batch in length_batches([u.duration_or_1s for u in utterances]):
        for places in (batch[i : i + _CLIPS] for i in range(0, len(batch), _CLIPS)):
            clips = [load_audio(utterances[i]) for i in places]
            keys, seconds = plain.encode(clips), [len(c) / SAMPLE_RATE_HZ for c in clips]
            agreed_on = plain.consensus(keys, seconds, cap)
            made = {PLAIN: agreed_on, (WEIGHED, args.bonus): writer.with_key_terms(keys, agreed_on)}
            for bonus in args.bonuses:
                lists = favoured(plain, trie, bonus, keys, [cap(s) for s in seconds])
                made["consensus of favoured beams", bonus] = list(map(agreed, lists))
                made["any favoured beam", bonus] = [
                    with_all(one, of_clip, terms)
                    for one, of_clip in zip(agreed_on, lists, strict=True)
                ]
            for key, transcripts in made.items():
                texts = [t.text for t in transcripts]
                found.setdefault(key, {}).update(zip(places, texts, strict=True))
    ordered = {key: [texts[i] for i in range(len(utterances))] for key, texts in found.items()}
    return Written(utterances, {"said": terms}, ordered)


def with_all(
    transcript: Transcript, others: Sequence[tuple[Transcript, float]], terms: Sequence[KeyTerm]
) -> Transcript:
    """A transcript, and behind it the terms that others have and it has not."""
    there = normalize(transcript.text).split()
    text = transcript.text
    for term in terms:
        most = max(len(places_of(normalize(o.text).split(), term.sound)) for o, _ in others)
        text += f" {term.text}" * (most - len(places_of(there, term.sound)))
    return Transcript(text, transcript.tokens, transcript.truncated)


def main(args: Args) -> None:
    print("| set | by | bonus | said | recall | false alarms/hour | WER of other words |")
    print("|---|---|---|---|---|---|---|")
    for path in args.crossvals:
        folds = [written(RunDir(folder), args) for folder in sorted(path.glob("fold-*"))]
        for key in [key for key in folds[0].transcripts if key != PLAIN]:
            counted = counted_beside(folds, folds, "said", (PLAIN, key))
            print(f"| {path.name} | {key[0]} | {key[1]:g} | {cells(counted, args.seed)} |")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
