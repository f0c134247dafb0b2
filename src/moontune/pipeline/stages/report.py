"""Stage report: the run's Markdown and page, and its section in the collected report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.run_folder.lock import exclusive_file
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.next_steps import reached_from_here
from moontune.report.html.contents import run_page
from moontune.report.run_markdown import render, render_public
from moontune.system.files import write_text
from moontune.system.formatting import printable
from moontune.system.progress import Ui

COLLECTED = "training_report.md"  # where none is asked for, beside the runs
_TITLE = "# Training report\n"
_HEAD = (
    f"{_TITLE}\n"
    "Written by `moontune run`, newest run first. Figures are of each run's test split; what was "
    "said and written stays in the run's folder.\n"
)
_HEADS = (  # that any version wrote
    _HEAD,
    f"{_TITLE}\n"
    "Written by `moontune run`, newest run first. Figures are of each run's test split.\n",
)


@dataclass(frozen=True)
class Rendered:
    """A run's results in all renderings."""

    own: str  # Markdown for the run's folder, with transcripts
    public: str  # Markdown for the collected report, figures alone
    page: str


def report_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """Write report.md and report.html, and put the run first in the collected report."""
    results = run.results()
    results = replace(results, metrics=reached_from_here(run, results.metrics))
    page = run_page(results, config.report.report_clips)
    write_report(run, config, Rendered(render(results), render_public(results), page))
    ui.note(written(run, config))
    return {}


def write_report(run: RunDir, config: RunConfig, rendered: Rendered) -> None:
    """Write report.md and report.html, and the public section into the collected report."""
    write_text(run / "report.md", rendered.own.replace("## ", "# ", 1))
    write_text(run / "report.html", rendered.page)
    file = collected_report(config, run.path)
    check_report_file(file)
    with exclusive_file(file):
        write_text(file, with_section_first(file, section_key(run), rendered.public))


def written(run: RunDir, config: RunConfig) -> str:
    """A line that names the files of the report."""
    return f"written: {run / 'report.html'}, report.md and {collected_report(config, run.path)}"


def collected_report(config: RunConfig, place: Path) -> Path:
    """The report that collects all runs: the one asked for, else the one beside the run in `place`,
    which for a fold, a trial or a final adapter is beside the whole that it belongs to."""
    if config.report.report_file is not None:
        return config.report.report_file
    folder = _above(place)
    while (folder / "run.json").is_file():
        folder = _above(folder)
    return folder / COLLECTED


def _above(folder: Path) -> Path:
    return folder.parent if folder.name not in ("", "..") else folder.resolve().parent


def section_key(run: RunDir) -> str:
    """Name and start of a run, which tell its section from that of a namesake, inside a comment."""
    record = run.record()
    key = printable(f"{record['name']} {record['environment']['started']}")
    return key.translate({ord(c): "_" for c in "<>"})


def with_section_first(report: Path, key: str, section: str) -> str:
    """The collected report with this run's section on top, in place of an older one of it."""
    begin, end = f"<!-- run {key} -->\n", f"<!-- end {key} -->\n"
    try:
        old = report.read_text(encoding="utf-8")
    except FileNotFoundError:
        old = ""
    for head in _HEADS:
        old = old.removeprefix(head)
    if begin in old and end in old:
        before, _, rest = old.partition(begin)
        old = before + rest.partition(end)[2]
    return _HEAD + "\n" + begin + section + end + ("\n" + old.lstrip("\n") if old.strip() else "")


def check_report_file(report: Path) -> None:
    """Raises UserError if the collected report could not be added to after an hour of work, or if
    the file is another: settings that somebody else wrote may name any."""
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
