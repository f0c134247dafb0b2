"""A comparison with its intervals in Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from moontune.evaluation.comparison import edits_of
from moontune.evaluation.measures import Comparison, StyleRetention
from moontune.evaluation.phrasing import measure_rows
from moontune.evaluation.predictions import PredictionRow
from moontune.evaluation.screening.suspects import Suspect
from moontune.languages.table import current
from moontune.report.markdown import cell, table
from moontune.report.results.metrics import RunMetrics
from moontune.report.suspicion import row_of, suspicion, used_for
from moontune.system.formatting import counted, percent

_SUSPECTS = 12  # rows that are shown


def result(metrics: RunMetrics) -> str:
    """The comparison of base and tuned model, and the conditions that both were measured under."""
    base, comparison = metrics.baseline, metrics.comparison
    known = f" of {counted(comparison.speakers, 'speaker')}" if comparison.speakers else ""
    note = (
        f"{counted(comparison.utterances, 'test clip')}{known}, "
        f"{counted(comparison.words, comparison.unit)}, "
        f"{base.target_tokens} target tokens. {rates_named(comparison)} on "
        f"{cell(base.normalizer)}; greedy, at most {base.token_cap} tokens. "
        + bootstrap_note(comparison)
    )
    return measures(comparison) + "\n\n" + edits(comparison) + "\n\n" + note


def rates_named(comparison: Comparison) -> str:
    """The error rates that a normaliser stands beside."""
    return "CER" if comparison.rate == "cer" else "WER and CER"


def measures(comparison: Comparison, names: tuple[str, str] = ("base", "tuned")) -> str:
    """Every measure of a comparison with its intervals."""
    rows = [
        (
            row.label,
            row.before + (f" ({row.before_interval})" if row.before_interval else ""),
            row.after + (f" ({row.after_interval})" if row.after_interval else ""),
            row.change + (f" ({row.relative})" if row.relative else ""),
            row.interval,
            row.better,
            row.outcome,
        )
        for row in measure_rows(comparison)
    ]
    head = ("", *names, "change (relative)", "95 % interval of the change", "P(better)", "")
    return table(head, rows)


def edits(comparison: Comparison, names: tuple[str, str] = ("base", "tuned")) -> str:
    before, after = asdict(comparison.edits.before), asdict(comparison.edits.after)
    rows = [(kind, before[kind], after[kind]) for kind in before if kind != "words"]
    rows += endings(comparison)
    return table(("", *names, "change"), ((n, x, y, f"{y - x:+d}") for n, x, y in rows))


def endings(comparison: Comparison) -> list[tuple[str, int, int]]:
    """How many transcripts of both sides came to no end by themselves."""
    cut, looped = comparison.truncated, comparison.looped
    rows = [("transcripts cut by the token cap", cut.before, cut.after)]
    if looped.before or looped.after:
        mended = "without an end; what beams agree on stands for it"
        rows.append((f"greedy transcripts {mended}", looped.before, looped.after))
    return rows


def bootstrap_note(comparison: Comparison) -> str:
    b = comparison.bootstrap
    return (
        f"Intervals: {100 * b.confidence:.0f} %, paired bootstrap of {b.units} {b.unit}s, "
        f"{b.resamples} resamples, seed {b.seed}."
    )


def groups(comparison: Comparison, names: tuple[str, str] = ("base", "tuned")) -> str:
    """Errors by speaker and by length."""
    rates = [f"{comparison.rate_label} {name}" for name in names]
    by = "speaker and by length" if comparison.speakers else "length"
    return f"### By {by}\n\n" + "\n\n".join(
        table(
            (title, "clips", f"{comparison.unit}s", *rates, "errors"),
            (
                (
                    row.name,
                    row.utterances,
                    row.words,
                    percent(row.before),
                    percent(row.after),
                    f"{row.before_errors} -> {row.after_errors}",
                )
                for row in rows
            ),
        )
        for title, rows in (
            ("speaker", comparison.by_speaker if comparison.speakers else []),
            ("length", comparison.by_duration),
        )
        if rows
    )


def words(comparison: Comparison) -> str:
    """The words most often fixed and broken."""
    parts = []
    for title, counts in (("fixed", comparison.words_fixed), ("broken", comparison.words_broken)):
        listed = ", ".join(f"{word} {count}" for word, count in counts) or "none"
        parts.append(f"{comparison.unit.capitalize()}s most often {title}: {cell(listed)}.")
    return "\n\n".join(parts)


def clip_counts(comparison: Comparison) -> str:
    """How many clips changed, without naming any."""
    clips = comparison.clips
    return (
        "### Clips that changed\n\n"
        f"Fewer errors in {counted(clips.fixed, 'clip')}, more in {clips.broken}."
    )


def forgetting(metrics: RunMetrics) -> str:
    """The forgetting check: general speech, and the base's way of writing."""
    text = "### What it kept\n\n"
    general = metrics.general
    if general.comparison is None:
        text += cell(general.remark or "General speech was not looked at (--general off).")
    else:
        comparison = general.comparison
        text += (
            f"On {comparison.utterances} clips of general speech that it was not trained on:"
            f"\n\n{measures(comparison)}\n\n{bootstrap_note(comparison)}\n\n"
            + _style(comparison.style, "general")
        )
    return text + "\n\n" + _style(metrics.comparison.style, "test")


def _style(style: StyleRetention, which: str) -> str:
    habits = (("begin with a capital", "capital"), ("end in punctuation", "punctuation"))
    rows = [
        (label, percent(getattr(style.before, key)), percent(getattr(style.after, key)))
        for label, key in habits
    ]
    return (
        table((f"{which} transcripts that", "base", "tuned"), rows)
        + f"\n\nOf {style.words_compared} {current().unit}s that both wrote, "
        f"{percent(style.same_case)} have the same case and "
        f"{percent(style.same_punctuation)} the same punctuation."
    )


def changed(
    before: list[PredictionRow],
    after: list[PredictionRow],
    names: tuple[str, str] = ("base", "tuned"),
) -> str:
    """The clips whose errors changed most, with what was said and written."""
    bases = {row["id"]: row for row in before}
    pairs = [(bases[row["id"]], row) for row in after]
    changes = [(edits_of(b).errors - edits_of(a).errors, a, b) for a, b in pairs]
    changes.sort(key=lambda change: change[0])
    fixed, broken = [c for c in changes if c[0] < 0], [c for c in changes if c[0] > 0]
    rows = [
        (f"{difference:+d}", b["id"], b["reference"], a["hypothesis"], b["hypothesis"])
        for difference, a, b in [*fixed[:5], *broken[-3:]]
    ]
    text = "### Clips that changed\n\n"
    text += f"Fewer errors in {counted(len(fixed), 'clip')}, more in {len(broken)}."
    if rows:
        text += "\n\n" + table(("errors", "clip", "reference", *names), rows)
    return text


def suspicious(suspects: Sequence[Suspect]) -> list[str]:
    """Transcripts that look wrong; nothing where none does."""
    if not suspects:
        return []
    rows = [(row_of(s), s.text, s.base, s.tuned or "", used_for(s)) for s in suspects[:_SUSPECTS]]
    listed = table(("row", "written", "base", "tuned", "use"), rows)
    return [f"{part}\n\n{listed}" for part in suspect_counts(suspects)]


def suspect_counts(suspects: Sequence[Suspect]) -> list[str]:
    """How many transcripts look wrong; nothing where none does."""
    return [f"### Transcripts that look wrong\n\n{suspicion(suspects)}"] if suspects else []
