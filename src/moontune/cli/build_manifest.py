"""Entry of scripts/build_manifest.py: held-out clips of a source as a manifest."""

from __future__ import annotations

import sys

from moontune.cli.arguments import parse, user_errors_as_exit_code
from moontune.data.heldout import ManifestArgs, build_manifest
from moontune.system.formatting import counted


def main(argv: list[str] | None = None) -> int:
    """Entry of scripts/build_manifest.py."""
    with user_errors_as_exit_code() as outcome:
        words = sys.argv[1:] if argv is None else argv
        args = parse(ManifestArgs, words, prog="build_manifest.py")
        rows = build_manifest(args)
        speakers = counted(len({u.speaker for u in rows}), "speaker")
        if len(rows) < args.samples:
            print(f"remark: {len(rows)} of {counted(args.samples, 'clip')} found")
        print(f"written: {args.output}, {counted(len(rows), 'clip')} of {speakers}")
    return outcome.code
