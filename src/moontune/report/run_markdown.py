"""A run as Markdown: its section of the collected report."""

from __future__ import annotations

from typing import Any

from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir
from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import changed, groups, kept, result
from moontune.report.provenance import Section, facts_of
from moontune.system.files import read_jsonl


def render(run: RunDir) -> str:
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
        _training(m, read_jsonl(run / "train_log.jsonl")),
        groups(m["comparison"]),
        changed(
            read_jsonl(run / "predictions_base.jsonl"), read_jsonl(run / "predictions_tuned.jsonl")
        ),
        kept(m),
        *map(facts_table, facts_of(run, m)),
    ]
    return "\n\n".join(parts) + "\n"


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
            (e["step"], *("-" if v is None else f"{v:.4f}" for v in (mean, e["val_loss"])), kept)
        )
        before = e["step"]
    return "### Training\n\n" + table(
        ("update", "train loss since the last row", "validation loss", ""), rows
    )


def facts_table(section: Section) -> str:
    """A table of facts; without a head, lines of code."""
    text = f"### {cell(section.title)}"
    if section.head:
        text += "\n\n" + table(section.head, section.rows)
    else:
        text += "".join("\n\n" + code(str(row[0])) for row in section.rows)
    return text + (f"\n\n{cell(section.note)}" if section.note else "")
