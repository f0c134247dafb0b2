"""A run as Markdown, and the collected report of all runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir
from moontune.pipeline.run_lock import taking_turns
from moontune.report.html.contents import run_page
from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import changed, groups, kept, result
from moontune.report.provenance import Section, facts_of
from moontune.system.files import read_jsonl, write_text
from moontune.system.formatting import printable

_TITLE = "# Training report\n"
_HEAD = (
    f"{_TITLE}\n"
    "Written by `moontune run`, newest run first. Figures are of each run's test split.\n"
)


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


def check_report_file(report: Path) -> None:
    """Raises UserError if the collected report could not be added to after an hour of work, or is
    another file: a run that somebody else made names it in its settings."""
    if report.suffix.lower() != ".md":
        raise UserError(f"{report}: does not end in .md; give another --report-file")
    try:
        text = report.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except UnicodeDecodeError:
        raise UserError(f"{report}: is not text; give another --report-file") from None
    except OSError as error:
        raise UserError(f"{report}: {error.strerror}; give another --report-file") from None
    else:
        if text.strip() and not text.startswith(_TITLE):
            raise UserError(
                f"{report}: begins with something else than {_TITLE.strip()!r}; give another "
                "--report-file"
            )


def update_report(run: RunDir, config: RunConfig) -> None:
    """Write the run's report.md and put it first in the collected report, earlier runs kept."""
    write_report(run, config, render(run), run_page(run, config))


def write_report(run: RunDir, config: RunConfig, section: str, page: str) -> None:
    """Write a section as report.md and into the collected report, and the page as report.html."""
    write_text(run / "report.md", section.replace("## ", "# ", 1))
    write_text(run / "report.html", page)
    file = config.report.report_file
    check_report_file(file)
    with taking_turns(file):
        write_text(file, merged(file, run_key(run), section))


def run_key(run: RunDir) -> str:
    """What tells a run's section from one of another run of the same name, inside a comment."""
    record = run.record()
    key = printable(f"{record['name']} {record['environment']['started']}")
    return key.translate({ord(c): "_" for c in "<>"})


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
