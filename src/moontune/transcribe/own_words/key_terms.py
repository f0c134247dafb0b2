"""The list of key terms that a model writes: the one asked for, or the model's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moontune.data.word_lists.key_terms import read_key_terms
from moontune.errors import UserError
from moontune.evaluation.key_terms.bonus import ChosenBonus
from moontune.languages.table import Language
from moontune.models.key_terms.weighing import BONUS, MOST_BONUS, KeyTerms
from moontune.system.formatting import counted
from moontune.transcribe.own_words.kept import Exported, Kept, run_of
from moontune.transcribe.recognizer import is_onnx_pair

EXPORTED = Exported("key_terms.txt", "key_terms.json", ChosenBonus.from_json)
_OFF = "--no-key-terms leaves it out"


@dataclass(frozen=True)
class AskedTerms:
    """What is asked of key terms: a list, its bonus in nats a token, or that none be written."""

    file: Path | None = None
    bonus: float | None = None
    off: bool = False

    def check(self) -> None:
        """Raises UserError for what makes no sense together."""
        if self.off and (self.file is not None or self.bonus is not None):
            flag = "--key-terms" if self.file is not None else "--key-terms-bonus"
            raise UserError(f"{flag} and --no-key-terms exclude each other; give one of them")
        if self.bonus is not None and not 0 <= self.bonus <= MOST_BONUS:
            raise UserError(f"--key-terms-bonus {self.bonus:g}: give 0 to {MOST_BONUS:g} nats")


@dataclass(frozen=True)
class TermsToWrite:
    """The list that a model writes, or None; and a line on the model's own, where it has one."""

    terms: KeyTerms | None
    says: str = ""


def terms_to_write(
    model: str, asked: AskedTerms, language: Callable[[], Language], which: str = "tuned"
) -> TermsToWrite:
    """The list that is asked for, else the one of a run or an export, by the bonus that it chose
    for the base or the tuned model (`which`). Raises UserError."""
    asked.check()
    if asked.file is not None:
        bonus = BONUS if asked.bonus is None else asked.bonus
        return TermsToWrite(KeyTerms(read_key_terms(asked.file), bonus))
    own = None if asked.off else _own_list(model, which)
    if own is None:
        if asked.bonus is not None:
            raise UserError("--key-terms-bonus is of a list; add --key-terms FILE")
        return TermsToWrite(None)
    terms = read_key_terms(own.file, f"the {own.of}'s list")
    named = f"key terms: the {own.of}'s own list of {counted(len(terms), 'term')}"
    if is_onnx_pair(model):
        return TermsToWrite(None, f"{named} is left out, as an ONNX pair writes none")
    if not (spoken := language()).spaced:
        says = f"{named} is left out, as {spoken.name} has no spaces between words"
        return TermsToWrite(None, says)
    bonus, why = _bonus(own, asked)
    if bonus is None:
        return TermsToWrite(None, f"{named} is left out: {why} (--key-terms-bonus 2 writes it)")
    return TermsToWrite(KeyTerms(terms, bonus), f"{named}, bonus {bonus:g} ({_OFF})")


def no_spaces(language: Language) -> str:
    """Why a list that is asked for is refused."""
    return (
        f"--key-terms: {language.name} has no spaces between words, where terms are counted "
        "(`moontune score`) and not written yet; leave it out"
    )


def _bonus(own: Kept[ChosenBonus], asked: AskedTerms) -> tuple[float | None, str]:
    """The bonus asked for, chosen or usual, and why it is none."""
    if asked.bonus is not None:
        return asked.bonus, ""
    return (BONUS, "") if own.chosen is None else (own.chosen.bonus, own.chosen.why)


def _own_list(model: str, which: str) -> Kept[ChosenBonus] | None:
    run = run_of(model)
    if run is None:
        return EXPORTED.kept(model, which)
    if not run.words.key_terms.is_file():
        return None
    written = run.words.written_terms(which)
    return Kept(run.words.key_terms, "run", written and written.chosen)
