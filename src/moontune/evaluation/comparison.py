"""Two sets of predictions on the same clips: what changed, where, and how sure that is.

Everything is computed from prediction rows (`predictions_*.jsonl`), so that anyone can do it again.
"before" is the base and "after" the tuned model, or two runs; a negative difference is a gain.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.data.normalizer import normalize
from moontune.errors import UserError
from moontune.evaluation.bootstrap import (
    CONFIDENCE,
    Draws,
    Estimate,
    clips_needed,
    resample_groups,
    wider_of,
    within_groups,
)
from moontune.evaluation.degeneration import as_written, degenerated
from moontune.evaluation.error_rates import Edits, corpus_wer, sum_edits, words_heard
from moontune.evaluation.measures import (
    BootstrapNote,
    ClipCounts,
    Comparison,
    GroupRow,
    Interval,
    Measure,
    Outcome,
    SameSpeakers,
    Sides,
    TextChange,
    TextUse,
    Unit,
)
from moontune.evaluation.phrasing import USUAL_GAIN, Size, sentence, typography
from moontune.evaluation.predictions import PredictionRow
from moontune.evaluation.typography import retention
from moontune.languages.content_words import is_content_word
from moontune.languages.table import current

_BANDS_S = (2.0, 4.0, 8.0, 16.0)
_LISTED = 15  # words most often fixed or broken
_FEW = 5  # clips of a speaker
_FEWEST_UNITS = 5  # speakers, or sessions
_FEWEST = 6  # clips, or units that all moved by one amount: by a sign test, fewer could be chance

# What is summed over clips, and over what: the figure is the ratio.
# `edits` are of words or, where these are not separated, of characters: the rate that leads.
Sums = tuple[Callable[[PredictionRow], float], Callable[[PredictionRow], float]]
_EDITS: Sums = (lambda r: edits_of(r).errors, lambda r: edits_of(r).words)
_CONSENSUS: Sums = (lambda r: consensus_edits_of(r).errors, lambda r: consensus_edits_of(r).words)
_WITH_TEXT: Sums = (lambda r: text_edits_of(r).errors, lambda r: text_edits_of(r).words)
_OTHERS: dict[str, Sums] = {
    "cer": (lambda r: r["characters"]["errors"], lambda r: r["characters"]["characters"]),
    "loss": (lambda r: r["loss"], lambda r: r["target_tokens"]),
    "loss_words": (lambda r: r["loss_words"], lambda r: r["target_tokens"]),
    "loss_typography": (lambda r: r["loss"] - r["loss_words"], lambda r: r["target_tokens"]),
}


def _sums_by_measure() -> dict[str, Sums]:
    """The measures of the current language, the one that leads first."""
    lead = current().rate
    others = {name: sums for name, sums in _OTHERS.items() if name != lead}
    return {
        lead: _EDITS,
        f"{lead}_consensus": _CONSENSUS,
        f"{lead}_consensus_text": _WITH_TEXT,
        **others,
    }


def differing_conditions(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The conditions in which two evaluations' summaries differ: then their figures say nothing.

    Whether consensus was measured beside greedy decoding is none.
    """

    def condition(summary: dict[str, Any], key: str) -> Any:
        value = summary.get(key)
        if key != "decoding" or not isinstance(value, dict):
            return value
        return {name: v for name, v in value.items() if name != "method"}

    keys = ("manifest", "audio", "normalizer", "decoding")
    return [key for key in keys if condition(before, key) != condition(after, key)]


def edits_of(row: PredictionRow) -> Edits:
    return Edits(**row["edits"])


def consensus_edits_of(row: PredictionRow) -> Edits:
    """Edits of the consensus of beams, which was asked for."""
    assert "consensus" in row
    return Edits(**row["consensus"]["edits"])


def text_edits_of(row: PredictionRow) -> Edits:
    """Edits of the consensus in which a text has a say."""
    assert "domain_text" in row
    return Edits(**row["domain_text"]["edits"])


def _speeds(rows: Sequence[PredictionRow]) -> set[int]:
    """At how many the consensus of each row heard its clip; 0 where there is none."""
    return {r["consensus"].get("speeds", 1) if "consensus" in r else 0 for r in rows}


def why_no_consensus(rows: Sequence[PredictionRow]) -> str:
    """Why consensus is not compared though some rows have one; empty where it is, or none has."""
    speeds = _speeds(rows)
    if len(speeds) < 2:
        return ""
    if 0 in speeds:
        return "some clips have no consensus, so its errors are left out"
    return (
        f"the consensus is at {' and at '.join(map(str, sorted(speeds)))} speeds, which are not "
        "compared: its errors are left out"
    )


def compare(
    before: Sequence[PredictionRow],
    after: Sequence[PredictionRow],
    seed: int,
    text: TextUse | None = None,
) -> Comparison:
    """Figures of both with intervals, and of their paired difference. Raises UserError.

    The rows must be of the same clips with the same references. Losses are left out where rows
    have none or the targets differ. `text` where the rows also have what a text makes of
    the consensus.
    """
    after = _paired(before, after)
    groups, unit = groups_of(before)
    draws = resample_groups(groups, seed)
    within = draws if unit == "clip" else within_groups(groups, seed)
    same_losses = all(
        "loss" in a and "loss" in b and a["target"] == b["target"]
        for a, b in zip(before, after, strict=True)
    )
    sums, lead = _sums_by_measure(), current().rate
    left_out = {name for name in sums if name.startswith("loss") and not same_losses}
    speeds = _speeds([*before, *after])
    if 0 in speeds or len(speeds) > 1:
        left_out.add(f"{lead}_consensus")
    if text is None:
        left_out.add(f"{lead}_consensus_text")
    sample = _Sample(draws, within, unit, len(before))
    measures = {
        name: _measure(sums[name], before, after, sample) for name in sums if name not in left_out
    }
    heard = [_words_changed(b, a) for b, a in zip(before, after, strict=True)]
    changes = [edits_of(a).errors - edits_of(b).errors for b, a in zip(before, after, strict=True)]
    bootstrap = BootstrapNote(unit, draws.units, len(draws.counts), CONFIDENCE, seed)
    speakers = len({r["speaker"] for r in before if r["speaker"] is not None})
    sessions = len({r["group"] for r in before if "group" in r})
    size = Size(len(before), speakers, sessions, sum(r["speaker"] is None for r in before))
    sentences = {
        name: sentence(name, measures[name], size, unit)
        for name in (lead, "loss")
        if name in measures
    }
    if "loss" in measures:
        sentences["typography"] = typography(measures)
    return Comparison(
        utterances=len(before),
        speakers=speakers,
        words=sum(r["edits"]["words"] for r in before),
        seconds=round(sum(r["duration"] for r in before), 1),
        bootstrap=bootstrap,
        measures=measures,
        edits=Sides(sum_edits(map(edits_of, before)), sum_edits(map(edits_of, after))),
        truncated=Sides(*(sum(r["truncated"] for r in rows) for rows in (before, after))),
        looped=Sides(*(sum("looped" in r for r in rows) for rows in (before, after))),
        clips=ClipCounts(
            fixed=sum(c < 0 for c in changes),
            broken=sum(c > 0 for c in changes),
            same=sum(c == 0 for c in changes),
        ),
        by_speaker=_grouped(before, after, lambda r: str(r["speaker"] or "not named")),
        by_duration=_by_duration(before, after),
        words_fixed=_most(word for fixed, _ in heard for word in fixed),
        words_broken=_most(word for _, broken in heard for word in broken),
        style=retention([r["hypothesis"] for r in before], [r["hypothesis"] for r in after]),
        collapsed=degenerated(as_written(before), as_written(after)),
        sentences=sentences,
        consensus=None
        if f"{lead}_consensus" in left_out
        else Sides(*(_change(_EDITS, _CONSENSUS, rows, sample) for rows in (before, after))),
        speeds=max(1, *speeds),
        domain_text=None
        if text is None
        else TextChange(
            Sides(*(_change(_CONSENSUS, _WITH_TEXT, rows, sample) for rows in (before, after))),
            text,
        ),
    )


def _paired(before: Sequence[PredictionRow], after: Sequence[PredictionRow]) -> list[PredictionRow]:
    """`after` in the order of `before`. Raises UserError where they are not of the same clips, or a
    clip's references differ in more than case, punctuation and what else is normalised."""
    found = {r["id"]: r for r in after}
    lacking = [r["id"] for r in before if r["id"] not in found]
    if lacking or len(after) != len(before) or not before:
        raise UserError(
            f"the predictions are not of the same clips ({len(before)} and {len(after)}, "
            f"{len(lacking)} of the first not in the second); compare runs with one test split"
        )
    rows = [found[r["id"]] for r in before]
    for a, b in zip(before, rows, strict=True):
        texts = a["reference"], b["reference"]
        if texts[0] != texts[1] and normalize(texts[0]) != normalize(texts[1]):
            raise UserError(
                f"clip {a['id']} has two references ({a['reference']!r}, {b['reference']!r}); "
                "compare runs with one test split"
            )
    return rows


def groups_of(rows: Sequence[PredictionRow]) -> tuple[list[str], Unit]:
    """The units that are resampled: sessions that the split kept whole, else speakers; a clip
    without one stands for itself. Clips where there are not five: so few say nothing of others, and
    their interval is no interval (two speakers gave -120 to +18 points about a WER of 5 %)."""
    units: list[tuple[Unit, list[str | None]]] = [
        ("session", [r.get("group") for r in rows]),
        ("speaker", [r["speaker"] for r in rows]),
    ]
    for unit, names in units:
        if len(set(names) - {None}) >= _FEWEST_UNITS:
            return [f"clip {i}" if n is None else f"{unit} {n}" for i, n in enumerate(names)], unit
    return [f"clip {i}" for i in range(len(rows))], "clip"


@dataclass(frozen=True)
class _Sample:
    """How the clips are resampled: the units, and the clips of each unit by itself."""

    draws: Draws
    within: Draws
    unit: Unit
    clips: int


def _measure(
    sums: Sums, before: Sequence[PredictionRow], after: Sequence[PredictionRow], sample: _Sample
) -> Measure:
    """A figure of both sides, and its difference."""
    above, below = sums
    several = sample.unit == "speaker" and _several(groups_of(before)[0])
    one, other = [above(r) for r in before], [above(r) for r in after]
    return _paired_measure(one, other, [below(r) for r in before], sample, several=several)


def ratio_of_sums(
    rows: Sequence[PredictionRow],
    one_each: Sequence[float],
    other_each: Sequence[float],
    over: Sequence[float],
    seed: int,
) -> Measure:
    """A figure of both sides of the clips of `rows`, and its difference: what is summed over clips,
    by that of `over`."""
    groups, unit = groups_of(rows)
    draws = resample_groups(groups, seed)
    within = draws if unit == "clip" else within_groups(groups, seed)
    return _paired_measure(one_each, other_each, over, _Sample(draws, within, unit, len(rows)))


def _change(one: Sums, other: Sums, rows: Sequence[PredictionRow], sample: _Sample) -> Measure:
    """Error rate of one model, by one decoding and by another."""
    (before, words), (after, _) = one, other
    each = [before(r) for r in rows], [after(r) for r in rows]
    return _paired_measure(*each, [words(r) for r in rows], sample)


def _paired_measure(
    one_each: Sequence[float],
    other_each: Sequence[float],
    over: Sequence[float],
    sample: _Sample,
    *,
    several: bool = False,
) -> Measure:
    """Sums over clips, divided by that of `over`, and their difference; `several` also for these
    very speakers."""
    draws, within, clips = sample.draws, sample.within, sample.clips

    def estimate(values: Sequence[float]) -> Estimate | None:
        return wider_of(draws.ratio(values, over), within.ratio(values, over))

    changes = [b - a for a, b in zip(one_each, other_each, strict=True)]
    one, other, change = estimate(one_each), estimate(other_each), estimate(changes)
    same = within.ratio(changes, over) if several else None
    if one is None or other is None or change is None:
        return Measure()
    small = 0 <= change.value < USUAL_GAIN * one.value
    effect = USUAL_GAIN * one.value if small else change.value
    decided = outcome(change, clips)
    needed = None
    if decided == "undecided":
        needed = clips_needed(clips, draws.units, change.standard_error, effect)
        needed = needed and max(needed, _FEWEST)
    return Measure(
        before=one.value,
        after=other.value,
        difference=change.value,
        relative=change.value / one.value if one.value else None,
        before_interval=_above_zero(one),
        after_interval=_above_zero(other),
        difference_interval=_possible(one.value, change),
        probability_better=change.below_zero,
        outcome=decided,
        utterances_needed=needed,
        same_speakers=None
        if same is None
        else SameSpeakers(_possible(one.value, same), outcome(same, clips)),
    )


def _several(groups: Sequence[str]) -> bool:
    """Whether speakers have clips enough to resample them: a clip that is its speaker's only one,
    or has none, would never vary."""
    clips = Counter(groups)
    return sum(n for n in clips.values() if n < _FEW) <= 0.2 * len(groups)


def outcome(change: Estimate, clips: int) -> Outcome:
    """Better or worse where the interval of the difference leaves zero out.

    A few clips that all changed alike have one that is far too short, and a few units that changed
    by one amount one of no width: neither says anything.
    """
    few = clips < _FEWEST or (not change.standard_error and change.units < _FEWEST)
    if change.interval is None or few:
        return "undecided"
    low, high = change.interval
    return "better" if high < 0 else "worse" if low > 0 else "undecided"


def _possible(before: float, change: Estimate) -> Interval | None:
    """The interval of a difference, no lower than what there is to lose."""
    if change.interval is None:
        return None
    return Interval(*(max(-before, end) + 0.0 for end in change.interval))  # no -0.0


def _above_zero(figure: Estimate) -> Interval | None:
    return Interval(*(max(0.0, end) for end in figure.interval)) if figure.interval else None


def _words_changed(before: PredictionRow, after: PredictionRow) -> tuple[list[str], list[str]]:
    """Words of the reference that only the second model heard, and those that only the first."""
    words = before["normalized_reference"].split()
    one, other = (words_heard(words, r["normalized_hypothesis"].split()) for r in (before, after))
    marked = list(zip(words, one, other, strict=True))
    return [w for w, a, b in marked if b and not a], [w for w, a, b in marked if a and not b]


def _most(words: Iterable[str]) -> list[tuple[str, int]]:
    """The words that come most often, with their counts: those that say what it is about first."""

    def rank(item: tuple[str, int]) -> tuple[bool, int, str]:
        word, count = item
        return not is_content_word(word), -count, word

    return sorted(Counter(words).items(), key=rank)[:_LISTED]


def _grouped(
    before: Sequence[PredictionRow],
    after: Sequence[PredictionRow],
    key: Callable[[PredictionRow], str],
) -> list[GroupRow]:
    groups: dict[str, list[tuple[PredictionRow, PredictionRow]]] = {}
    for b, a in zip(before, after, strict=True):
        groups.setdefault(key(b), []).append((b, a))
    rows = []
    for name, pairs in sorted(groups.items()):
        one, other = ([edits_of(p[side]) for p in pairs] for side in (0, 1))
        rows.append(
            GroupRow(
                name=name,
                utterances=len(pairs),
                words=sum(e.words for e in one),
                before=corpus_wer(one),
                after=corpus_wer(other),
                before_errors=sum(e.errors for e in one),
                after_errors=sum(e.errors for e in other),
            )
        )
    return rows


def _by_duration(before: Sequence[PredictionRow], after: Sequence[PredictionRow]) -> list[GroupRow]:
    names = [
        f"under {_BANDS_S[0]:g} s",
        *(f"{low:g} to {high:g} s" for low, high in itertools.pairwise(_BANDS_S)),
        f"{_BANDS_S[-1]:g} s and more",
        "not known",
    ]
    if not any(r["duration"] for r in before):
        return []
    band = {
        r["id"]: names[sum(r["duration"] >= end for end in _BANDS_S) if r["duration"] else -1]
        for r in before
    }
    rows = _grouped(before, after, lambda r: band[r["id"]])
    return sorted(rows, key=lambda row: names.index(row.name))
