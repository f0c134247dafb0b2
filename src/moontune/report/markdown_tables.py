"""The figures of a run's Markdown report: a comparison with its intervals, in tables."""

from __future__ import annotations

from typing import Any

from moontune.config.schema import TokenCap
from moontune.evaluation.comparison import edits_of
from moontune.evaluation.phrasing import LABELS, show, show_interval
from moontune.report.markdown import cell, table
from moontune.system.formatting import counted, percent


def result(m: dict[str, Any]) -> str:
    base, c = m["baseline"], m["comparison"]
    note = (
        f"{counted(c['utterances'], 'test clip')} of {counted(c['speakers'], 'speaker')}, "
        f"{counted(c['words'], 'word')}, "
        f"{base['target_tokens']} target tokens. WER and CER on {cell(base['normalizer'])}; "
        f"greedy, at most {_cap(base['decoding'])} tokens. " + drawn(c)
    )
    return measures(c) + "\n\n" + edits(c) + "\n\n" + note


def _cap(decoding: dict[str, Any]) -> TokenCap:
    """The cap of an evaluation; those from before `token_margin` had a margin of 2."""
    return TokenCap(decoding["tokens_per_second"], decoding.get("token_margin", 2))


def measures(c: dict[str, Any], names: tuple[str, str] = ("base", "tuned")) -> str:
    """Every measure of a comparison with its intervals."""
    rows = []
    for name, label in LABELS.items():
        m = c["measures"].get(name)
        if m is None or m["before"] is None:
            continue
        values = [
            show(name, m[side])
            + (f" ({' to '.join(show(name, end) for end in ends)})" if ends else "")
            for side in ("before", "after")
            for ends in (m[f"{side}_interval"],)
        ]
        relative = "" if m["relative"] is None else f" ({100 * m['relative']:+.1f} %)"
        rows.append(
            (
                label,
                *values,
                show(name, m["difference"], difference=True) + relative,
                show_interval(name, m["difference_interval"]),
                f"{100 * m['probability_better']:.1f} %",
                {"undecided": "cannot be told apart"}.get(m["outcome"], m["outcome"]),
            )
        )
    head = ("", *names, "change (relative)", "95 % interval of the change", "P(better)", "")
    return table(head, rows)


def edits(c: dict[str, Any], names: tuple[str, str] = ("base", "tuned")) -> str:
    before, after = c["edits"]["before"], c["edits"]["after"]
    rows = [(kind, before[kind], after[kind]) for kind in before if kind != "words"]
    rows.append(("cut by the token cap", c["truncated"]["before"], c["truncated"]["after"]))
    return table(("", *names, "change"), ((n, x, y, f"{y - x:+d}") for n, x, y in rows))


def drawn(c: dict[str, Any]) -> str:
    b = c["bootstrap"]
    return (
        f"Intervals: {100 * b['confidence']:.0f} %, paired bootstrap of {b['units']} {b['unit']}s, "
        f"{b['resamples']} resamples, seed {b['seed']}."
    )


def groups(c: dict[str, Any], names: tuple[str, str] = ("base", "tuned")) -> str:
    """WER by speaker and by length, and the words most often fixed and broken."""
    rates = [f"WER {name}" for name in names]
    parts = [
        "### By speaker and by length\n\n"
        + "\n\n".join(
            table(
                (title, "clips", "words", *rates, "errors"),
                (
                    (
                        row["name"],
                        row["utterances"],
                        row["words"],
                        percent(row["before"]),
                        percent(row["after"]),
                        f"{row['before_errors']} -> {row['after_errors']}",
                    )
                    for row in c[key]
                ),
            )
            for title, key in (("speaker", "by_speaker"), ("length", "by_duration"))
        )
    ]
    for title, key in (("fixed", "words_fixed"), ("broken", "words_broken")):
        listed = ", ".join(f"{word} {n}" for word, n in c[key]) or "none"
        parts.append(f"Words most often {title}: {cell(listed)}.")
    return "\n\n".join(parts)


def kept(m: dict[str, Any]) -> str:
    """What the adapter left of the base: general speech, and its way of writing."""
    text = "### What it kept\n\n"
    general = m["general"]
    if general["comparison"] is None:
        text += cell(general["remark"] or "General speech was not looked at (--general off).")
    else:
        c = general["comparison"]
        text += (
            f"On {c['utterances']} clips of general speech that it was not trained on:\n\n"
            + measures(c)
            + f"\n\n{drawn(c)}\n\n"
            + _style(c["style"], "general")
        )
    return text + "\n\n" + _style(m["comparison"]["style"], "test")


def _style(style: dict[str, Any], which: str) -> str:
    habits = (("begin with a capital", "capital"), ("end in punctuation", "punctuation"))
    rows = [
        (label, percent(style["before"][key]), percent(style["after"][key]))
        for label, key in habits
    ]
    return (
        table((f"{which} transcripts that", "base", "tuned"), rows)
        + f"\n\nOf {style['words_compared']} words that both wrote, "
        f"{percent(style['same_case'])} have the same case and "
        f"{percent(style['same_punctuation'])} the same punctuation."
    )


def changed(
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    names: tuple[str, str] = ("base", "tuned"),
) -> str:
    """The clips whose errors changed most, with what was said and written."""
    others = {r["id"]: r for r in before}
    found = [(edits_of(r).errors - edits_of(others[r["id"]]).errors, r) for r in after]
    found.sort(key=lambda pair: pair[0])
    fixed, broken = [f for f in found if f[0] < 0], [f for f in found if f[0] > 0]
    rows = [
        (f"{d:+d}", r["id"], r["reference"], others[r["id"]]["hypothesis"], r["hypothesis"])
        for d, r in [*fixed[:5], *broken[-3:]]
    ]
    text = "### Clips that changed\n\n"
    text += f"Fewer errors in {counted(len(fixed), 'clip')}, more in {len(broken)}."
    if rows:
        text += "\n\n" + table(("errors", "clip", "reference", *names), rows)
    return text
