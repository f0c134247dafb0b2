"""A run's own copies of key terms and domain text, and what its models make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from moontune.config.schema import RunConfig
from moontune.data.word_lists.domain_text import read_domain_text
from moontune.evaluation.domain_text.results import WeighedText
from moontune.evaluation.key_terms.results import WrittenTerms
from moontune.pipeline.run_folder.files import RunFiles
from moontune.system.files import (
    damage_as_user_error,
    read_json,
    real_path,
    write_bytes,
    write_text,
)

Found = TypeVar("Found")


@dataclass(frozen=True)
class RunWords:
    """Key terms and domain text of a run; it may have neither."""

    run: RunFiles

    @property
    def key_terms(self) -> Path:
        """The run's own copy of its list of key terms, where it has one."""
        return self.run / "key_terms.txt"

    @property
    def domain_text(self) -> Path:
        """The run's own copy of the text of its domain, a sentence a line, where it has one."""
        return self.run / "domain_text.txt"

    def sentences(self) -> tuple[str, ...]:
        """Those of its text. Raises UserError."""
        return read_domain_text(self.domain_text, "the run's text")

    def write_sentences(self, sentences: Sequence[str]) -> None:
        """Keep them as its text."""
        write_text(self.domain_text, "".join(f"{sentence}\n" for sentence in sentences))

    def keep(self, config: RunConfig) -> RunConfig:
        """Copy the key terms and the text that the configuration names, in place of those that are
        there; returns the configuration that names the copies."""
        terms = config.terms
        if _is_another(terms.key_terms, self.key_terms):
            write_bytes(self.key_terms, terms.key_terms.read_bytes())
        if _is_another(terms.domain_text, self.domain_text):
            self.write_sentences(read_domain_text(terms.domain_text))
        own = replace(
            terms,
            key_terms=terms.key_terms and self.key_terms.absolute(),
            domain_text=terms.domain_text and self.domain_text.absolute(),
        )
        return replace(config, terms=own)

    def written_terms_file(self, which: str) -> Path:
        """What a model makes of the list; `which` is base or tuned."""
        return self.run / f"key_terms_{which}.json"

    def written_terms(self, which: str) -> WrittenTerms | None:
        """The same; None where the run has no list, or was not evaluated yet with one.

        Raises UserError for a damaged file.
        """
        there = self.key_terms.is_file()
        return self._evaluated(self.written_terms_file(which), WrittenTerms.from_json, there)

    def weighed_text_file(self, which: str) -> Path:
        """What a model makes of the text; `which` is base or tuned."""
        return self.run / f"domain_text_{which}.json"

    def weighed_text(self, which: str) -> WeighedText | None:
        """The same; None where the run has no text, or was not evaluated yet with one.

        Raises UserError for a damaged file.
        """
        there = self.domain_text.is_file()
        return self._evaluated(self.weighed_text_file(which), WeighedText.from_json, there)

    def _evaluated(
        self, file: Path, made: Callable[[dict[str, Any]], Found], there: bool
    ) -> Found | None:
        """What an evaluation made of a file of the user's that is `there`. Raises UserError."""
        if not (there and file.is_file()):
            return None
        row = read_json(file, self.run.measured_again)
        with damage_as_user_error(file, self.run.measured_again):
            return made(row)


def _is_another(wanted: Path | None, own: Path) -> TypeGuard[Path]:
    """Whether a file is named, and is not the run's own copy of it."""
    return wanted is not None and real_path(wanted) != real_path(own)
