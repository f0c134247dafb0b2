"""Splits by whole speakers, or by recordings, as near the wanted shares of audio as they allow."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from moontune.data.assignment import assign
from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize
from moontune.data.recordings import KeptTogether, recording_groups
from moontune.data.speakers import find_speakers, spelling, spelt_alike
from moontune.errors import UserError

SplitName = Literal["train", "val", "test"]
SplitBy = Literal["speaker", "utterance"]
AudioKey = Callable[[Utterance], str]  # the content of a recording (a hash)
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Share:
    """What one split got."""

    utterances: int
    speakers: int
    seconds: float
    share: float  # of all audio
    wanted: float

    @classmethod
    def of(cls, utterances: Sequence[Utterance], total_s: float, wanted: float) -> Share:
        seconds = sum(u.duration or 0.0 for u in utterances)
        return cls(
            utterances=len(utterances),
            speakers=len({u.speaker for u in utterances} - {None}),
            seconds=round(seconds, 3),
            share=round(seconds / total_s, 4),
            wanted=round(wanted, 4),
        )


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
    kept: KeptTogether | None = None  # of a split by recording
    left_out: Mapping[SplitName, list[Utterance]] = field(default_factory=dict)

    def with_at_most(
        self,
        clips: Mapping[SplitName, int],
        audio_key: AudioKey | None = None,
        beside: Collection[str] = (),
    ) -> Split:
        """The split with so many clips in some of its parts, beside those of some ids, which stay;
        drawn by the seed. What is left out is noted, shares stay of all audio, and leaks are
        those of what is kept."""
        parts, shares, left_out = dict(self.parts), dict(self.shares), dict(self.left_out)
        total_s = math.fsum(u.duration or 0.0 for part in parts.values() for u in part)
        for name, most in clips.items():
            whole = parts[name]
            counted = [u for u in whole if u.id not in beside]
            if len(counted) > most:
                gone = {u.id for u in counted} - {u.id for u in drawn(counted, most, self.seed)}
                left_out[name] = [u for u in whole if u.id in gone]
                parts[name] = [u for u in whole if u.id not in gone]
                shares[name] = Share.of(parts[name], total_s, shares[name].wanted)
        if left_out == self.left_out:
            return self
        leaks = find_leaks(parts, audio_key)
        return replace(self, parts=parts, shares=shares, left_out=left_out, leaks=leaks)

    def summary(self) -> dict[str, Any]:
        """What is saved beside the manifests."""
        kinds = ("speaker", "audio", "sentence")
        return {
            "split_by": self.split_by,
            "kept_together": None if self.kept is None else self.kept.to_json(),
            "voices": self.voices,
            "seed": self.seed,
            "left_out": {name: len(clips) for name, clips in self.left_out.items()},
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
    audio_key: AudioKey | None = None,
    fixed: Mapping[str, SplitName] | None = None,
) -> Split:
    """Split by whole speakers (or by recordings), deterministic in `seed` and in the set.

    `audio_key` gives the content of a recording (a hash), for the leakage report. `fixed` are
    splits of some utterances by id: what belongs to them goes where they are, and the rest is split
    by itself. Raises UserError where there are fewer than three groups or an utterance has no
    speaker.
    """
    grouping = _grouping(utterances, split_by)
    wanted = (1.0 - val_share - test_share, val_share, test_share)
    where: dict[str, SplitName] = {}
    if fixed:
        grouping, where = _beside(grouping, fixed)
    free = {name: group for name, group in grouping.groups.items() if name not in where}
    if not fixed or len(free) >= len(SPLITS):
        where |= {name: SPLITS[k] for name, k in _placed(free, wanted, seed).items()}
    else:  # one to learn from, one to test
        where |= dict(zip(sorted(free), ("train", "test"), strict=False))
    return _divided(utterances, grouping, where, wanted, seed=seed, audio_key=audio_key)


def _beside(
    grouping: Grouping, fixed: Mapping[str, SplitName]
) -> tuple[Grouping, dict[str, SplitName]]:
    """The groups that hold fixed utterances, divided where these are in several splits, and where
    each goes; of a divided one, what is new is trained on."""
    groups: dict[str, list[Utterance]] = {}
    where: dict[str, SplitName] = {}
    for name, members in grouping.groups.items():
        named: set[SplitName] = {fixed[u.id] for u in members if u.id in fixed}
        if len(named) < 2:
            groups[name] = members
            for split in named:
                where[name] = split
            continue
        for u in members:
            part = fixed.get(u.id, "train")
            groups.setdefault(f"{name} ({part})", []).append(u)
            where[f"{name} ({part})"] = part
    return replace(grouping, groups=groups), where


def drawn(utterances: Sequence[Utterance], count: int, seed: int) -> list[Utterance]:
    """So many of them in their order: those whose ids have the lowest seeded hashes."""

    def place(u: Utterance) -> bytes:
        return hashlib.blake2b(u.id.encode(errors="surrogatepass"), key=str(seed).encode()).digest()

    chosen = {u.id for u in heapq.nsmallest(count, utterances, key=place)}
    return [u for u in utterances if u.id in chosen]


def split_folds(
    utterances: Sequence[Utterance],
    *,
    folds: int | Literal["speaker"],
    val_share: float,
    seed: int,
    split_by: SplitBy = "speaker",
    audio_key: AudioKey | None = None,
) -> list[Split]:
    """Splits for cross-validation: every utterance stands in the test split of exactly one.

    `speaker` makes a fold of each group. Of what a fold does not test, `val_share` validates.
    Raises UserError where there are fewer groups than folds.
    """
    grouping = _grouping(utterances, split_by)
    groups = grouping.groups
    count = len(groups) if folds == "speaker" else folds
    check_count(grouping, count)
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
        splits.append(_divided(utterances, grouping, where, wanted, seed=seed, audio_key=audio_key))
    return splits


@dataclass(frozen=True)
class Grouping:
    """Utterances that are never divided, and what they have in common."""

    groups: dict[str, list[Utterance]]
    split_by: SplitBy
    kept: KeptTogether | None = None

    @property
    def sessions(self) -> bool:
        """Whether the groups are sessions or files."""
        return self.kept is not None and self.kept.has_sessions


def check_count(grouping: Grouping, folds: int) -> None:
    """Raises UserError where there are fewer groups than folds."""
    groups = grouping.groups
    if folds > len(groups):
        unit = "sessions" if grouping.sessions else "recordings"
        unit = "speakers" if grouping.split_by == "speaker" else unit
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
    grouping: Grouping,
    where: Mapping[str, SplitName],
    wanted: Sequence[float],
    *,
    seed: int,
    audio_key: AudioKey | None,
) -> Split:
    """The split that puts each group where it belongs, with what it came to."""
    parts: dict[SplitName, list[Utterance]] = {name: [] for name in SPLITS}
    group_of = {u.id: name for name, members in grouping.groups.items() for u in members}
    for u in utterances:
        name = group_of[u.id]
        parts[where[name]].append(replace(u, group=name if grouping.sessions else None))
    total = math.fsum(u.duration or 0.0 for u in utterances)
    shares: dict[SplitName, Share] = {
        name: Share.of(parts[name], total, w) for name, w in zip(SPLITS, wanted, strict=True)
    }
    voices = len({u.speaker for u in utterances} - {None})
    leaks = find_leaks(parts, audio_key)
    return Split(parts, shares, leaks, grouping.split_by, voices, seed, grouping.kept)


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
    """Raises UserError as `grouping_of` does; looks at no more utterances than it must.

    Speakers that no row names are looked for as a run does, where it may split by them, and those
    that are spelt alike are one.
    """
    seen: list[Utterance] = []
    names: set[str | None] = {None}
    for u in utterances:
        seen.append(u)
        names.add(u.id if asked == "utterance" else spelling(u.speaker))
        if len(names) > 3:
            return
    seen, _ = spelt_alike(seen)
    found = find_speakers(seen) if asked != "utterance" else None
    seen = found.utterances if found else seen
    split_by = resolved_split(seen, asked)
    if split_by == "speaker" or len(seen) < 3:  # what is kept together always leaves three
        grouping_of(seen, split_by)


def _grouping(utterances: Sequence[Utterance], split_by: SplitBy) -> Grouping:
    """Every utterance in its group. Raises UserError where one has none."""
    _check_names(utterances, split_by)
    return grouping_of(utterances, split_by)


def _check_names(utterances: Sequence[Utterance], split_by: SplitBy) -> None:
    nameless = [u for u in utterances if u.speaker is None]
    if nameless and split_by == "speaker":
        first = nameless[0]
        raise UserError(
            f"{len(nameless)} of {len(utterances)} utterances name no speaker (first: "
            f"{first.where or first.id}); add a `speaker` field, or give --split-by utterance"
        )


def grouping_of(utterances: Sequence[Utterance], split_by: SplitBy) -> Grouping:
    """What is never divided: a speaker's utterances, or those of one session, file or text.

    Those that name no speaker are in no speaker's group. Raises UserError if there are too few.
    """
    groups: dict[str, list[Utterance]] = defaultdict(list)
    kept = None
    if split_by == "utterance":
        groups, kept = recording_groups(utterances)
    else:
        for u in utterances:
            if u.speaker is not None:
                groups[u.speaker].append(u)
    if len(groups) >= 3:
        return Grouping(groups, split_by, kept)
    _check_names(utterances, split_by)
    if split_by == "utterance":
        raise UserError(f"3 clips are needed for three splits, found {len(groups)}; add more")
    raise UserError(
        f"3 speakers are needed to hold some out, found {len(groups)}; record more, or split these "
        "people's recordings: --split-by utterance"
    )


def find_leaks(
    parts: Mapping[SplitName, Sequence[Utterance]],
    audio_key: AudioKey | None = None,
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
