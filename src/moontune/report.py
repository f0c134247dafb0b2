"""A run as Markdown, and the collected report of all runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from moontune.config import RunConfig
from moontune.decoding import TokenCap
from moontune.errors import UserError
from moontune.files import read_jsonl, write_text
from moontune.rundir import RunDir
from moontune.settings import to_dict

_HEAD = (
    "# Training report\n\n"
    "Written by `moontune run`, newest run first. Figures are of each run's test split.\n"
)


def cell(value: Any) -> str:
    """Text that is inert in a Markdown table: no markup, no HTML, no control characters."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", text)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def code(text: str) -> str:
    """Inline code that holds any text."""
    text = "".join(c if c.isprintable() else " " for c in text)
    ticks = "`" * (max((len(m) for m in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def render(run: RunDir, config: RunConfig) -> str:
    """The run's section, from what its folder holds."""
    m = run.read("metrics.json")
    parts = [
        f"## {cell(m['run'])}",
        f"**{cell(m['verdict']['sentence'])}**",
        *map(cell, m["verdict"]["cautions"]),
        _result(m),
        "### Checks\n\n"
        + table(
            ("check", "", "detail"),
            (
                (c["name"], "yes" if c["passed"] else "NO", c["detail"])
                for c in m["verdict"]["checks"]
            ),
        ),
        "### Commands\n\n"
        + "\n\n".join(code("moontune " + shlex.join(c)) for c in m["environment"]["commands"]),
        _data(m),
        _training(m, read_jsonl(run / "train_log.jsonl")),
        _changed(run),
        _artifact(run),
        _settings(m, config),
    ]
    return "\n\n".join(parts) + "\n"


def _result(m: dict[str, Any]) -> str:
    base, tuned, change = m["baseline"], m["tuned"], m["difference"]
    gain = change["wer_relative_gain"]
    points = "-" if change["wer"] is None else f"{100 * change['wer']:+.2f} points"
    relative = "" if gain is None else f" ({-100 * gain + 0.0:+.1f} % relative)"
    edits = [
        (
            name,
            base["edits"][name],
            tuned["edits"][name],
            tuned["edits"][name] - base["edits"][name],
        )
        for name in ("substitutions", "deletions", "insertions")
    ]
    rows = [
        ("WER", percent(base["wer"]), percent(tuned["wer"]), points + relative),
        (
            "loss, nats per target token",
            f"{base['loss']:.4f}",
            f"{tuned['loss']:.4f}",
            f"{change['loss']:+.4f}",
        ),
        *((n, b, t, f"{d:+d}") for n, b, t, d in edits),
        (
            "cut by the token cap",
            base["truncated"],
            tuned["truncated"],
            f"{tuned['truncated'] - base['truncated']:+d}",
        ),
    ]
    note = (
        f"{base['utterances']} test clips, {base['edits']['words']} words, "
        f"{base['target_tokens']} target tokens. WER on {cell(base['normalizer'])}; greedy, "
        f"at most {_cap(base['decoding'])} tokens."
    )
    return table(("", "base", "tuned", "change"), rows) + "\n\n" + note


def _cap(decoding: dict[str, Any]) -> TokenCap:
    """The cap of an evaluation; those from before `token_margin` had a margin of 2."""
    return TokenCap(decoding["tokens_per_second"], decoding.get("token_margin", 2))


def _data(m: dict[str, Any]) -> str:
    rows = [
        (
            name,
            s["utterances"],
            s["speakers"],
            f"{s['seconds'] / 60:.1f}",
            f"{100 * s['share']:.1f} % of {100 * s['wanted']:.0f} %",
        )
        for name, s in m["split"].items()
    ]
    dropped = ", ".join(f"{n} {reason}" for reason, n in m["data"]["dropped"].items()) or "none"
    leaks = ", ".join(f"{n} {kind}" for kind, n in m["leakage"].items())
    labels = m["labels"]
    origin = ", ".join(f"{k} {v}" for k, v in m["data"]["origin"].items() if k != "folder")
    return (
        "### Data\n\n"
        + table(("split", "clips", "speakers", "minutes", "share achieved of wanted"), rows)
        + f"\n\nDropped: {cell(dropped)}. Shared between splits: {cell(leaks)}. "
        f"References are {cell(labels['references'])}, labels {cell(labels['used'])}. "
        f"Origin: {code(origin)}."
    )


def _training(m: dict[str, Any], log: list[dict[str, Any]]) -> str:
    t = m["training"]
    updates = [e for e in log if e["event"] == "update" and e["loss"] is not None]
    rows = []
    before = 0
    for e in log:
        if e["event"] != "validation":
            continue
        part = [u for u in updates if before < u["step"] <= e["step"]]
        tokens = sum(u["tokens"] for u in part)
        mean = sum(u["loss"] * u["tokens"] for u in part) / tokens if tokens else None
        kept = "kept" if e["step"] == t["best_step"] else ""
        rows.append(
            (e["step"], "-" if mean is None else f"{mean:.4f}", f"{e['val_loss']:.4f}", kept)
        )
        before = e["step"]
    rate = t["utterances_seen"] / max(t["seconds"] - t["seconds_validating"], 1e-9)
    return (
        "### Training\n\n"
        + table(("update", "train loss since the last row", "validation loss", ""), rows)
        + f"\n\n{t['steps']} updates ({cell(t['stopped'])}), {t['skipped']} skipped, "
        f"{t['trainable_parameters']:,} trainable parameters, {t['seconds']:.0f} s of which "
        f"{t['seconds_validating']:.0f} s validating, {rate:.1f} clips a second in training."
    )


def _changed(run: RunDir) -> str:
    base = {r["id"]: r for r in read_jsonl(run / "predictions_base.jsonl")}
    tuned = read_jsonl(run / "predictions_tuned.jsonl")

    def errors(row: dict[str, Any]) -> int:
        e = row["edits"]
        return e["substitutions"] + e["deletions"] + e["insertions"]

    changed = [(errors(r) - errors(base[r["id"]]), r) for r in tuned]
    changed.sort(key=lambda pair: pair[0])
    fixed, broken = [c for c in changed if c[0] < 0], [c for c in changed if c[0] > 0]
    rows = [
        (f"{d:+d}", r["id"], r["reference"], base[r["id"]]["hypothesis"], r["hypothesis"])
        for d, r in [*fixed[:5], *broken[-3:]]
    ]
    text = f"### Clips that changed\n\n{len(fixed)} clips have fewer errors, {len(broken)} more."
    if rows:
        text += "\n\n" + table(("errors", "clip", "reference", "base", "tuned"), rows)
    return text


def _artifact(run: RunDir) -> str:
    a = run.read("artifact_test.json")
    rows = [
        (c["id"], c.get("reference", ""), c["transcript"], "yes" if c["identical_tokens"] else "NO")
        for c in a["clips"]
    ]
    return (
        f"### Artifact, reloaded in a fresh process on {cell(a['device'])}\n\n"
        + table(("clip", "reference", "transcript", "same tokens"), rows)
        + f"\n\nWER of these clips {percent(a['wer'])}.\n\n"
        + code("scripts/" + shlex.join(a["command"]))
    )


def _settings(m: dict[str, Any], config: RunConfig) -> str:
    rows = [
        (name, " ".join(v) if isinstance(v, list) else v)
        for section in to_dict(config).values()
        for name, v in section.items()
    ]
    env = m["environment"]
    versions = ", ".join(f"{k} {v}" for k, v in env["versions"].items())
    base = m["base_model"]
    remarks = "".join(f"\n- {cell(r)}" for r in m["remarks"])
    return (
        "### Settings and machine\n\n"
        + (f"Remarks:{remarks}\n\n" if remarks else "")
        + table(("setting", "value"), rows)
        + f"\n\nBase: {code(base['asked'])} ({cell(base['hub_id'])}, revision "
        f"{cell(base['revision'] or 'not stated')}, weights sha256 {base['sha256'][:16]}). "
        f"Device: {cell(m['device']['name'])} ({cell(m['device']['reason'])}), "
        f"{cell(m['device']['dtype'])}. "
        f"Python {cell(env['python'])} on {cell(env['platform'])}; {cell(versions)}; "
        f"source {cell(env['git_revision'] or 'installed package')}. "
        f"Started {cell(env['started'])}; seconds: "
        + ", ".join(f"{k} {v:.0f}" for k, v in m["timings_s"].items())
        + "."
    )


def check_report_file(report: Path) -> None:
    """Raises UserError if the collected report could not be added to after an hour of work."""
    try:
        report.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except UnicodeDecodeError:
        raise UserError(f"{report}: is not text; give another --report-file") from None
    except OSError as error:
        raise UserError(f"{report}: {error.strerror}; give another --report-file") from None


def update_report(run: RunDir, config: RunConfig) -> None:
    """Write the run's report.md and put it first in the collected report, earlier runs kept."""
    section = render(run, config)
    write_text(run / "report.md", section.replace("## ", "# ", 1))
    file = config.report.report_file
    check_report_file(file)
    write_text(file, merged(file, run_key(run), section))


def run_key(run: RunDir) -> str:
    """What tells a run's section from one of another run of the same name."""
    record = run.record()
    return f"{record['name']} {record['environment']['started']}"


def merged(report: Path, key: str, section: str) -> str:
    """The collected report with this run's section on top, in place of an older one of it."""
    begin, end = f"<!-- run {key} -->\n", f"<!-- end {key} -->\n"
    try:
        old = report.read_text(encoding="utf-8")
    except FileNotFoundError:
        old = ""
    old = old.removeprefix(_HEAD)
    if begin in old and end in old:
        before, _, rest = old.partition(begin)
        old = before + rest.partition(end)[2]
    return _HEAD + "\n" + begin + section + end + ("\n" + old.lstrip("\n") if old.strip() else "")
