"""`moontune terms`: words that were corrected, as a list of key terms to look through."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moontune.config.flag_marks import Positional
from moontune.data.manifest import manifest_lines
from moontune.data.rows.fields import written_name
from moontune.errors import UserError
from moontune.evaluation.key_terms.proposed import Correction, Proposal, proposed_terms
from moontune.languages.letters import looks_like
from moontune.languages.table import ENGLISH, Language, language_named, speaking
from moontune.system.files import check_output, user_path, write_text
from moontune.system.formatting import counted

_FILES = ("manifest.jsonl", "reviewed.jsonl")  # of a folder
_OLD = ("original_text", "heard")  # of a row: before `review`, and what `serve` wrote
_HEAD = """\
# Words that were corrected, and sound like what had been written: the most often corrected first.
# Take out what is none to know; behind a | stands what it was taken for.
"""


@dataclass(frozen=True)
class TermsArgs:
    """Propose key terms: words that you corrected in `serve` or `review` where the old and the new
    sound alike, as a list to look through, for --key-terms."""

    sources: Positional[tuple[Path, ...]] = ()
    """What `serve` kept or `review` wrote: folders, or their manifest.jsonl or reviewed.jsonl."""
    output: Path = Path("terms.txt")
    """The list to write; one that is there stays."""
    language: str | None = None
    """What is spoken, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default: what the
    letters of the texts tell, else en."""


@dataclass(frozen=True)
class ProposedTerms:
    """The terms found, in how many texts that were corrected."""

    terms: list[Proposal]
    corrected: int
    language: Language = ENGLISH  # asked for, else by their letters

    @property
    def says(self) -> str:
        """What was found, in a sentence."""
        found = counted(len(self.terms), "term")
        spoken = "" if self.language == ENGLISH else f" of {self.language.name}"
        return f"{found} in {counted(self.corrected, 'corrected text')}{spoken}"


def propose_terms(args: TermsArgs) -> ProposedTerms:
    """Write the list. Raises UserError, also where nothing is to be proposed."""
    if not args.sources:
        raise UserError("name what was corrected: moontune terms kept")
    check_output(args.output, "--output", args.sources)
    if args.output.exists():
        raise UserError(f"--output {args.output}: is there already; name another file")
    told = None if args.language is None else language_named(args.language)
    corrections = [c for file in _files(args.sources) for c in _corrections(file)]
    language = told or looks_like(c.new for c in corrections) or ENGLISH
    if not language.spaced:
        raise UserError(f"{language.name} has no spaces between words, so none are proposed")
    with speaking(language):
        found = ProposedTerms(proposed_terms(corrections), len(corrections), language)
    if not found.terms:
        raise UserError(
            f"no terms in {counted(found.corrected, 'corrected text')} of "
            f"{', '.join(map(str, args.sources))}: no word was mended that sounds like what stood "
            "there; write the list by hand"
        )
    write_text(args.output, _HEAD + "".join(f"{term.line}\n" for term in found.terms))
    return found


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in map(user_path, sources):
        there = [source / name for name in _FILES if (source / name).is_file()]
        if source.is_dir() and not there:
            raise UserError(
                f"{source}: holds no {' or '.join(_FILES)}; name what serve or review wrote"
            )
        yield from there or [source]


def _corrections(file: Path) -> Iterator[Correction]:
    """Texts of a manifest that were others before; a line that a kill left half is passed over.
    Raises UserError for what is no manifest."""
    rows = 0
    for line in manifest_lines(file):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict):
            continue
        rows += 1
        new = row.get(written_name(row, "text"))
        for old in map(row.get, _OLD):
            if isinstance(old, str) and isinstance(new, str) and old != new:
                yield Correction(old, new)
    if not rows:
        raise UserError(f"{file}: is no manifest; name what serve kept or review wrote")
