"""Stage report: the run's Markdown and page, and its section in the collected report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.run_dir import RunDir
from moontune.pipeline.run_lock import exclusive_file
from moontune.report.html.contents import run_page
from moontune.report.run_markdown import render
from moontune.system.files import write_text
from moontune.system.formatting import printable
from moontune.system.progress import Ui

_TITLE = "# Training report\n"
_HEAD = (
    f"{_TITLE}\n"
    "Written by `moontune run`, newest run first. Figures are of each run's test split.\n"
)


def report_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """Write report.md and report.html, and put the run first in the collected report."""
    results = run.results()
    page = run_page(results, config.report.report_clips)
    write_report(run, config, render(results), page)
    ui.note(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")
    return {}


def write_report(run: RunDir, config: RunConfig, section: str, page: str) -> None:
    """Write a section as report.md and into the collected report, and the page as report.html."""
    write_text(run / "report.md", section.replace("## ", "# ", 1))
    write_text(run / "report.html", page)
    file = config.report.report_file
    check_report_file(file)
    with exclusive_file(file):
        write_text(file, with_section_first(file, section_key(run), section))


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
    old = old.removeprefix(_HEAD)
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
