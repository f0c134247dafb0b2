"""`moontune doctor`: what is around moontune and under it, a line each."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moontune.doctor import environment
from moontune.doctor.environment import Finding
from moontune.errors import ACCEPTED, NOT_ACCEPTED, UserError
from moontune.system.device import DeviceName
from moontune.system.files import check_output, write_json
from moontune.system.formatting import counted

if TYPE_CHECKING:
    from moontune.doctor.fixtures import Fixture

_WIDTH = 80
_INSTALL = 'pip install "moontune[bundled]"'
_DEFAULT_BASE = "UsefulSensors/moonshine-tiny"


@dataclass(frozen=True)
class DoctorArgs:
    """Look at this machine, at the versions below moontune, and at what its figures rest on.

    Exit code 0: nothing failed, 1: a check failed.
    """

    device: DeviceName = "auto"
    """The device to try."""
    model_id: str | None = None
    """A base to try too: a folder, `bundled`, or a hub id that is in the cache. Default: `bundled`
    where that extra is installed, else the cached moonshine-tiny, else none."""
    output_dir: Path = Path("outputs")
    """Where runs would be written."""
    json: Path | None = None
    """Write what was found to this file as well."""


def doctor(args: DoctorArgs, say: Callable[[str], None]) -> int:
    """Examine everything and say a line or two of each; returns the exit code. Raises UserError."""
    if args.json is not None:
        check_output(args.json, "--json")
    found: list[Finding] = []
    for finding in examine(args):
        if not found or finding.group != found[-1].group:
            say(finding.group)
        for line in lines(finding):
            say(line)
        found.append(finding)
    if args.json is not None:
        write_json(args.json, {"findings": [asdict(f) for f in found]})
    counts = {state: sum(f.state == state for f in found) for state in ("ok", "remark", "FAILED")}
    remarks = counted(counts["remark"], "remark")
    say(f"{counts['ok']} ok, {remarks}, {counts['FAILED']} FAILED")
    return NOT_ACCEPTED if counts["FAILED"] else ACCEPTED


def lines(finding: Finding) -> list[str]:
    """A finding for a terminal of 80 columns: state, name, what was found; below it what to do."""
    indent = " " * 24
    text = f"  {finding.state:7}{finding.name:14} {finding.detail}"
    wrapped = textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
    if finding.remedy:
        wrapped += textwrap.wrap(
            f"-> {finding.remedy}",
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + "   ",
            break_on_hyphens=False,
        )
    return wrapped


def examine(args: DoctorArgs) -> Iterator[Finding]:
    """Every check, the quick ones first. Raises UserError for a device or base that is lacking."""
    yield from environment.versions()
    yield environment.hub()
    yield from environment.disk(args.output_dir)
    yield from environment.codecs()
    yield from environment.device(args.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # transformers', of its own
        yield from _tiny_test()
        yield from _base_test(args.model_id)


def _tiny_test() -> Iterator[Finding]:
    from moontune.doctor.fixtures import tiny_fixture, tiny_streaming_fixture
    from moontune.doctor.selftest import CHECKS

    yield from _tried("self-test (tiny random moonshine)", tiny_fixture, CHECKS)
    group = "self-test (tiny random moonshine_streaming)"
    yield from _tried(group, tiny_streaming_fixture, CHECKS)


def _base_test(model_id: str | None) -> Iterator[Finding]:
    """The same on a real base, and whether it is aligned with speech."""
    from moontune.doctor.fixtures import find_base, real_fixture
    from moontune.doctor.selftest import OF_BASES

    group = "self-test (real base)"
    found = find_base(model_id, _DEFAULT_BASE)
    if found is None:
        said = f"none tried: {model_id or _DEFAULT_BASE} is not in the hub's cache"
        yield Finding(group, "base", "remark", said, f"{_INSTALL}, or give --model-id a folder")
        return
    fixture = real_fixture(found)
    origin = fixture.base.origin
    yield Finding(group, "base", "ok", f"{origin.asked}, type {origin.model_type}")
    checks = dict(OF_BASES)
    if not fixture.speech:
        del checks["aligned"]
        said = "no speech with known text is here, so its loss says nothing"
        yield Finding(group, "aligned", "remark", said, _INSTALL)
    yield from _tried(group, lambda: fixture, checks)


def _tried(
    group: str, make: Callable[[], Fixture], checks: dict[str, Callable[[Fixture], str]]
) -> Iterator[Finding]:
    """A finding for each check. Whatever a changed stack raises is a check that failed."""
    from moontune.doctor.selftest import STACK, Broken

    fixture = None
    for name, check in checks.items():
        try:
            fixture = fixture or make()
            yield Finding(group, name, "ok", check(fixture))
        except Broken as broken:
            yield Finding(group, name, "FAILED", str(broken), STACK)
        except UserError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            yield Finding(group, name, "FAILED", textwrap.shorten(said, 300), STACK)
