"""The text that has a say in a model's consensus: the one asked for, or the model's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moontune.config.schema import Decoding
from moontune.data.word_lists.domain_text import read_domain_text
from moontune.errors import UserError
from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.models.language_model import WEIGHT, LanguageModel
from moontune.system.files import file_sha256
from moontune.system.formatting import counted
from moontune.transcribe.own_words.kept import Exported, Kept, run_of

EXPORTED = Exported("domain_text.txt", "domain_text.json", ChosenWeight.from_json)
_OFF = "--no-domain-text leaves it out"


@dataclass(frozen=True)
class AskedText:
    """What is asked of a text: a file, or that none be used."""

    decoding: Decoding
    file: Path | None = None
    off: bool = False

    def check(self) -> None:
        """Raises UserError for what makes no sense together."""
        if self.file is not None and self.off:
            raise UserError(
                "--domain-text and --no-domain-text exclude each other; give one of them"
            )
        if self.file is not None and self.decoding == "greedy":
            raise UserError("--domain-text has a say among beams; add --decoding consensus")


@dataclass(frozen=True)
class TextToUse:
    """A text as a language model, or None; and a line on the model's own, where it has one."""

    language_model: LanguageModel | None
    says: str = ""


def text_to_use(model: str, asked: AskedText, which: str = "tuned") -> TextToUse:
    """The text that is asked for, else the one of a run or an export, by the weight that it chose
    for the base or the tuned model (`which`); greedily none. Raises UserError."""
    asked.check()
    if asked.file is not None:
        return TextToUse(LanguageModel(read_domain_text(asked.file)))
    own = None if asked.off or asked.decoding == "greedy" else _own_text(model, which)
    if own is None:
        return TextToUse(None)
    sentences = read_domain_text(own.file, f"the {own.of}'s text")
    named = f"domain text: the {own.of}'s own of {counted(len(sentences), 'sentence')}"
    weight = WEIGHT if own.chosen is None else own.chosen.weight
    if own.chosen is not None and not weight:
        return TextToUse(None, f"{named} is {own.chosen.says} (--domain-text {own.file} uses it)")
    return TextToUse(LanguageModel(sentences, weight), f"{named}, weight {weight:g} ({_OFF})")


def _own_text(model: str, which: str) -> Kept[ChosenWeight] | None:
    run = run_of(model)
    if run is None:
        return EXPORTED.kept(model, which)
    if not run.words.domain_text.is_file():
        return None
    weighed = run.words.weighed_text(which)
    if weighed is not None and weighed.text_sha256 != file_sha256(run.words.domain_text):
        weighed = None  # it was chosen for another text
    return Kept(run.words.domain_text, "run", weighed and weighed.chosen)
