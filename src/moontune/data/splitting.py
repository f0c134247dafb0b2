"""Speaker-disjoint splits, as near the wanted shares of audio as whole speakers allow."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from moontune.data.manifest import Utterance
from moontune.errors import UserError

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
_RESTARTS = 48


@dataclass(frozen=True)
class Share:
    """What one split got."""

    utterances: int
    speakers: int
    seconds: float
    share: float  # of all audio
    wanted: float


@dataclass(frozen=True)
class Leak:
    """Something that stands in two splits: a speaker, a recording or a sentence."""

    kind: Literal["speaker", "audio", "sentence"]
    what: str
    where: dict[str, list[str]]  # split -> utterance ids (at most 5 named)


@dataclass(frozen=True)
class Split:
    parts: Mapping[SplitName, list[Utterance]]
    shares: Mapping[SplitName, Share]
    leaks: list[Leak]
    split_by: str
    seed: int

    def summary(self) -> dict[str, Any]:
        """What is saved beside the manifests."""
        kinds = ("speaker", "audio", "sentence")
        return {
            "split_by": self.split_by,
            "seed": self.seed,
            "shares": {name: asdict(self.shares[name]) for name in SPLITS},
            "leakage": {
                "counts": {k: sum(leak.kind == k for leak in self.leaks) for k in kinds},
                "items": [asdict(leak) for leak in self.leaks[:200]],
            },
        }


def split_utterances(
    utterances: Sequence[Utterance],
    *,
    val_share: float,
    test_share: float,
    seed: int,
    split_by: Literal["speaker", "utterance"] = "speaker",
    audio_key: Callable[[Utterance], str] | None = None,
) -> Split:
    """Split by whole speakers (or single utterances), deterministic in `seed` and in the set.

    `audio_key` gives the content of a recording (a hash), for the leakage report. Raises UserError
    where there are fewer than three groups or an utterance has no speaker.
    """
    groups = _all_groups(utterances, split_by)
    wanted = (1.0 - val_share - test_share, val_share, test_share)
    placed = _placed(groups, wanted, seed)
    where: dict[str, SplitName] = {name: SPLITS[k] for name, k in placed.items()}
    return _divided(utterances, where, wanted, split_by, seed, audio_key)


def split_folds(
    utterances: Sequence[Utterance],
    *,
    folds: int | Literal["speaker"],
    val_share: float,
    seed: int,
    split_by: Literal["speaker", "utterance"] = "speaker",
    audio_key: Callable[[Utterance], str] | None = None,
) -> list[Split]:
    """Splits for cross-validation: every utterance stands in the test split of exactly one.

    `speaker` makes a fold of each group. Of what a fold does not test, `val_share` validates.
    Raises UserError where there are fewer groups than folds.
    """
    groups = _all_groups(utterances, split_by)
    count = len(groups) if folds == "speaker" else folds
    check_count(groups, count, split_by)
    tested = _placed(groups, [1 / count] * count, seed)
    splits = []
    for fold in range(count):
        rest = {name: groups[name] for name, k in tested.items() if k != fold}
        inner = _placed(rest, (1 - val_share, val_share), seed)
        where: dict[str, SplitName] = {
            name: SPLITS[inner[name]] if name in inner else "test" for name in groups
        }
        share = 1 / count
        wanted = ((1 - share) * (1 - val_share), (1 - share) * val_share, share)
        splits.append(_divided(utterances, where, wanted, split_by, seed, audio_key))
    return splits


def check_count(groups: Mapping[str, Any], folds: int, split_by: str) -> None:
    """Raises UserError where there are fewer groups than folds."""
    if folds > len(groups):
        unit = "speakers" if split_by == "speaker" else "utterances"
        raise UserError(
            f"--folds {folds} needs as many {unit}, found {len(groups)}; give --folds {len(groups)}"
        )


def _placed(
    groups: Mapping[str, Sequence[Utterance]], wanted: Sequence[float], seed: int
) -> dict[str, int]:
    """Which of the parts with these shares each group goes to. Raises UserError."""
    names = sorted(groups)
    # fsum: exact, so that the order of rows cannot decide a tie
    seconds = [math.fsum(u.duration or 0.0 for u in groups[name]) for name in names]
    total = math.fsum(seconds)
    if total <= 0:
        raise UserError("the utterances have no duration; clean them before splitting")
    placed = assign([s / total for s in seconds], wanted, seed)
    return dict(zip(names, placed, strict=True))


def _divided(
    utterances: Sequence[Utterance],
    where: Mapping[str, SplitName],
    wanted: Sequence[float],
    split_by: str,
    seed: int,
    audio_key: Callable[[Utterance], str] | None,
) -> Split:
    """The split that puts each group where it belongs, with what it came to."""
    parts: dict[SplitName, list[Utterance]] = {name: [] for name in SPLITS}
    for u in utterances:
        parts[where[_group_of(u, split_by)]].append(u)
    total = math.fsum(u.duration or 0.0 for u in utterances)
    shares: dict[SplitName, Share] = {
        name: Share(
            utterances=len(parts[name]),
            speakers=len({u.speaker for u in parts[name]}),
            seconds=round(sum(u.duration or 0.0 for u in parts[name]), 3),
            share=round(sum(u.duration or 0.0 for u in parts[name]) / total, 4),
            wanted=round(w, 4),
        )
        for name, w in zip(SPLITS, wanted, strict=True)
    }
    return Split(parts, shares, find_leaks(parts, audio_key), split_by, seed)


def _group_of(u: Utterance, split_by: str) -> str:
    return str(u.speaker) if split_by == "speaker" else u.id


def check_groups(utterances: Iterable[Utterance], split_by: str) -> None:
    """Raises UserError as `groups_of` does; looks at no more utterances than it must."""
    seen: list[Utterance] = []
    names: set[str | None] = {None}
    for u in utterances:
        seen.append(u)
        names.add(u.speaker if split_by == "speaker" else u.id)
        if len(names) > 3:
            return
    groups_of(seen, split_by)


def _all_groups(utterances: Sequence[Utterance], split_by: str) -> dict[str, list[Utterance]]:
    """Every utterance in its group. Raises UserError where one has none."""
    _check_names(utterances, split_by)
    return groups_of(utterances, split_by)


def _check_names(utterances: Sequence[Utterance], split_by: str) -> None:
    nameless = [u for u in utterances if u.speaker is None]
    if nameless and split_by == "speaker":
        first = nameless[0]
        raise UserError(
            f"{len(nameless)} of {len(utterances)} utterances name no speaker (first: "
            f"{first.where or first.id}); add a `speaker` field, or give --split-by utterance, "
            "which overstates gains"
        )


def groups_of(utterances: Sequence[Utterance], split_by: str) -> dict[str, list[Utterance]]:
    """What is never divided: a speaker's utterances. Raises UserError if there are too few.

    Those that name no speaker are in no speaker's group.
    """
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        if split_by != "speaker" or u.speaker is not None:
            groups[_group_of(u, split_by)].append(u)
    if len(groups) < 3:
        _check_names(utterances, split_by)
        unit = "speakers" if split_by == "speaker" else "utterances"
        override = (
            "; record more speakers, or give --split-by utterance, which overstates gains"
            if split_by == "speaker"
            else "; add more"
        )
        raise UserError(f"3 {unit} are needed for three splits, found {len(groups)}{override}")
    return groups


def assign(sizes: Sequence[float], wanted: Sequence[float], seed: int) -> list[int]:
    """Place whole groups into splits; returns the split index of each group.

    Minimises the sum of absolute differences between achieved and wanted shares by local search
    (moves and swaps) from many seeded starts. Among placements equally near (to half a per cent),
    the one with more groups in the smaller of validation and test wins: their figures rest on how
    many speakers they hold. Every split gets at least one group.
    """
    n, k = len(sizes), len(wanted)
    best: tuple[tuple[float, int, float], list[int]] | None = None
    for start in range(_RESTARTS if n <= 200 else _RESTARTS // 8):
        rng = random.Random(f"{seed}/{start}")
        placed = _start(sizes, wanted, rng)
        _improve(sizes, wanted, placed, rng)
        members = [placed.count(s) for s in range(k)]
        if min(members) == 0:
            continue
        cost = _cost(sizes, wanted, placed)
        rank = (round(cost * 200) / 200, -min(members[1:]), cost)
        if best is None or rank < best[0]:
            best = (rank, placed)
    if best is None:  # cannot happen with n >= k; kept as our own check
        raise AssertionError(f"no placement of {n} groups into {k} splits")
    return best[1]


def _cost(sizes: Sequence[float], wanted: Sequence[float], placed: Sequence[int]) -> float:
    have = [0.0] * len(wanted)
    for size, s in zip(sizes, placed, strict=True):
        have[s] += size
    return sum(abs(h - w) for h, w in zip(have, wanted, strict=True))


def _start(sizes: Sequence[float], wanted: Sequence[float], rng: random.Random) -> list[int]:
    """One random group for each split, then each group to the split that lacks most."""
    order = list(range(len(sizes)))
    rng.shuffle(order)
    # The largest groups cannot sit in a small split without spoiling it: seed those with small ones
    seeds = sorted(order[: max(len(wanted), len(order) // 2)], key=lambda g: sizes[g])
    placed = [-1] * len(sizes)
    have = [0.0] * len(wanted)
    small = range(1, len(wanted))
    for s, g in zip((*small, 0), (*seeds[: len(small)], seeds[-1]), strict=True):
        placed[g] = s
        have[s] += sizes[g]
    for g in order:
        if placed[g] < 0:
            s = max(range(len(wanted)), key=lambda i: wanted[i] - have[i])
            placed[g] = s
            have[s] += sizes[g]
    return placed


def _improve(
    sizes: Sequence[float], wanted: Sequence[float], placed: list[int], rng: random.Random
) -> None:
    """Move one group or swap two while that brings the shares nearer; in place."""
    k = len(wanted)
    have = [0.0] * k
    members = [placed.count(s) for s in range(k)]
    for size, s in zip(sizes, placed, strict=True):
        have[s] += size

    def gain(changes: dict[int, float]) -> float:
        before = sum(abs(have[s] - wanted[s]) for s in changes)
        return before - sum(abs(have[s] + d - wanted[s]) for s, d in changes.items())

    # Swaps are quadratic; with very many groups (single utterances) moves alone come near enough.
    pairs = len(sizes) <= 200
    for _ in range(200):
        changed = False
        order = list(range(len(sizes)))
        rng.shuffle(order)
        for g in order:
            a = placed[g]
            for b in range(k):
                if b != a and members[a] > 1 and gain({a: -sizes[g], b: sizes[g]}) > 1e-9:
                    have[a] -= sizes[g]
                    have[b] += sizes[g]
                    members[a] -= 1
                    members[b] += 1
                    placed[g] = a = b
                    changed = True
            for h in order if pairs else ():
                b = placed[h]
                d = sizes[g] - sizes[h]
                if a != b and gain({a: -d, b: d}) > 1e-9:
                    have[a] -= d
                    have[b] += d
                    placed[g], placed[h] = b, a
                    a, changed = b, True
        if not changed:
            return


def find_leaks(
    parts: Mapping[SplitName, Sequence[Utterance]],
    audio_key: Callable[[Utterance], str] | None = None,
) -> list[Leak]:
    """Speakers, recordings and sentences that stand in more than one split."""
    from moontune.data.truecasing import normalize

    kinds: list[tuple[Literal["speaker", "audio", "sentence"], Callable[[Utterance], str]]] = [
        ("speaker", lambda u: u.speaker or ""),
        ("sentence", lambda u: normalize(u.text)),
    ]
    if audio_key is not None:
        kinds.insert(1, ("audio", audio_key))
    leaks: list[Leak] = []
    for kind, key in kinds:
        seen: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for name in SPLITS:
            for u in parts[name]:
                if key(u):
                    seen[key(u)][name].append(u.id)
        for what, where in seen.items():
            if len(where) > 1:
                leaks.append(Leak(kind, what, {s: ids[:5] for s, ids in where.items()}))
    return leaks
