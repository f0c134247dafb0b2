"""A run as Markdown, and the collected report of all runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from moontune.config import RunConfig
from moontune.errors import UserError
from moontune.files import read_jsonl, write_text
from moontune.markdown import cell, code, percent, table
from moontune.pages import run_page
from moontune.report_figures import changed, groups, kept, result
from moontune.rundir import RunDir
from moontune.settings import to_dict
from moontune.wording import origin_text

_HEAD = (
    "# Training report\n\n"
    "Written by `moontune run`, newest run first. Figures are of each run's test split.\n"
)


def render(run: RunDir, config: RunConfig) -> str:
    """The run's section, from what its folder holds."""
    m = run.read("metrics.json")
    if "comparison" not in m:
        raise UserError(
            f"{run.path}: was judged by an older moontune; again: moontune verdict {run.path}"
        )
    parts = [
        f"## {cell(m['run'])}",
        f"**{cell(m['verdict']['sentence'])}**",
        *map(cell, m["verdict"]["findings"]),
        *map(cell, m["verdict"]["cautions"]),
        result(m),
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
        groups(m["comparison"]),
        changed(
            read_jsonl(run / "predictions_base.jsonl"), read_jsonl(run / "predictions_tuned.jsonl")
        ),
        kept(m),
        _artifact(run),
        _settings(m, config),
    ]
    return "\n\n".join(parts) + "\n"


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
    return (
        "### Data\n\n"
        + table(("split", "clips", "speakers", "minutes", "share achieved of wanted"), rows)
        + f"\n\nDropped: {cell(dropped)}. Shared between splits: {cell(leaks)}. "
        f"References are {cell(labels['references'])}, labels {cell(labels['used'])}. "
        f"Origin: {code(origin_text(m['data']['origin']))}."
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
    write_text(run / "report.html", run_page(run, config))
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
