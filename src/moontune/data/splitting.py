"""Splits by whole speakers, or by recordings, as near the wanted shares of audio as they allow."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from moontune.data.assignment import assign
from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize
from moontune.data.speakers import find_speakers
from moontune.errors import UserError

SplitName = Literal["train", "val", "test"]
SplitBy = Literal["speaker", "utterance"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
_SENTENCES, _MOST = 10, 0.1  # so many, and none said in more of the clips: each stays on one side


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
    split_by: SplitBy
    voices: int  # speakers that are named
    seed: int

    def summary(self) -> dict[str, Any]:
        """What is saved beside the manifests."""
        kinds = ("speaker", "audio", "sentence")
        return {
            "split_by": self.split_by,
            "voices": self.voices,
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
    split_by: SplitBy = "speaker",
    audio_key: Callable[[Utterance], str] | None = None,
) -> Split:
    """Split by whole speakers (or by recordings), deterministic in `seed` and in the set.

    `audio_key` gives the content of a recording (a hash), for the leakage report. Raises UserError
    where there are fewer than three groups or an utterance has no speaker.
    """
    groups = _all_groups(utterances, split_by)
    wanted = (1.0 - val_share - test_share, val_share, test_share)
    placed = _placed(groups, wanted, seed)
    where: dict[str, SplitName] = {name: SPLITS[k] for name, k in placed.items()}
    return _divided(utterances, groups, where, wanted, split_by, seed=seed, audio_key=audio_key)


def split_folds(
    utterances: Sequence[Utterance],
    *,
    folds: int | Literal["speaker"],
    val_share: float,
    seed: int,
    split_by: SplitBy = "speaker",
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
        splits.append(
            _divided(utterances, groups, where, wanted, split_by, seed=seed, audio_key=audio_key)
        )
    return splits


def check_count(groups: Mapping[str, Any], folds: int, split_by: SplitBy) -> None:
    """Raises UserError where there are fewer groups than folds."""
    if folds > len(groups):
        unit = "speakers" if split_by == "speaker" else "recordings"
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
    groups: Mapping[str, Sequence[Utterance]],
    where: Mapping[str, SplitName],
    wanted: Sequence[float],
    split_by: SplitBy,
    *,
    seed: int,
    audio_key: Callable[[Utterance], str] | None,
) -> Split:
    """The split that puts each group where it belongs, with what it came to."""
    parts: dict[SplitName, list[Utterance]] = {name: [] for name in SPLITS}
    group_of = {u.id: name for name, members in groups.items() for u in members}
    for u in utterances:
        parts[where[group_of[u.id]]].append(u)
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
    voices = len({u.speaker for u in utterances} - {None})
    return Split(parts, shares, find_leaks(parts, audio_key), split_by, voices, seed)


def resolved_split(
    utterances: Iterable[Utterance], asked: Literal["auto", "speaker", "utterance"]
) -> SplitBy:
    """What `auto` is for these: by speaker where three are named, else by recording."""
    if asked != "auto":
        return asked
    names: set[str | None] = {None}
    for u in utterances:
        names.add(u.speaker)
        if len(names) > 3:
            return "speaker"
    return "utterance"


def meaning_of(split_by: SplitBy, voices: int) -> str:
    """Whom a figure is for: a sentence, empty where it is for people who were never heard."""
    if split_by == "speaker":
        return ""
    if voices > 2:
        return "clips were split without regard to speakers, which overstates gains for others"
    whose = {0: "the people who were recorded", 1: "this one voice"}.get(voices, "these two voices")
    return f"the figures are for {whose}, on other recordings; of other people they say nothing"


def check_groups(
    utterances: Iterable[Utterance], asked: Literal["auto", "speaker", "utterance"]
) -> None:
    """Raises UserError as `groups_of` does; looks at no more utterances than it must.

    Speakers that no row names are looked for as a run does, where it may split by them.
    """
    seen: list[Utterance] = []
    names: set[str | None] = {None}
    for u in utterances:
        seen.append(u)
        names.add(u.id if asked == "utterance" else u.speaker)
        if len(names) > 3:
            return
    found = find_speakers(seen) if asked != "utterance" else None
    seen = found.utterances if found else seen
    groups_of(seen, resolved_split(seen, asked))


def _all_groups(utterances: Sequence[Utterance], split_by: SplitBy) -> dict[str, list[Utterance]]:
    """Every utterance in its group. Raises UserError where one has none."""
    _check_names(utterances, split_by)
    return groups_of(utterances, split_by)


def _check_names(utterances: Sequence[Utterance], split_by: SplitBy) -> None:
    nameless = [u for u in utterances if u.speaker is None]
    if nameless and split_by == "speaker":
        first = nameless[0]
        raise UserError(
            f"{len(nameless)} of {len(utterances)} utterances name no speaker (first: "
            f"{first.where or first.id}); add a `speaker` field, or give --split-by utterance"
        )


def groups_of(utterances: Sequence[Utterance], split_by: SplitBy) -> dict[str, list[Utterance]]:
    """What is never divided: a speaker's utterances, or those of one text.

    Those that name no speaker are in no speaker's group. Raises UserError if there are too few.
    """
    groups: dict[str, list[Utterance]] = defaultdict(list)
    if split_by == "utterance":
        groups |= _by_text(utterances)
    else:
        for u in utterances:
            if u.speaker is not None:
                groups[u.speaker].append(u)
    if len(groups) >= 3:
        return groups
    _check_names(utterances, split_by)
    if split_by == "utterance":
        raise UserError(f"3 clips are needed for three splits, found {len(groups)}; add more")
    raise UserError(
        f"3 speakers are needed to hold some out, found {len(groups)}; record more, or split these "
        "people's recordings: --split-by utterance"
    )


def _by_text(utterances: Sequence[Utterance]) -> dict[str, list[Utterance]]:
    """Clips by what is said, so that no sentence is trained on and tested; each by itself where
    few sentences are said again and again, as commands are."""
    by_text: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        by_text[normalize(u.text) or u.id].append(u)
    most = max(map(len, by_text.values()), default=0)
    if len(by_text) >= _SENTENCES and most <= _MOST * len(utterances):
        return {members[0].id: members for members in by_text.values()}
    return {u.id: [u] for u in utterances}


def find_leaks(
    parts: Mapping[SplitName, Sequence[Utterance]],
    audio_key: Callable[[Utterance], str] | None = None,
) -> list[Leak]:
    """Speakers, recordings and sentences that stand in more than one split."""
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
