"""The say of a run's text in the consensus of one of its models: the weight chosen on validation
clips, and the transcripts of the test clips that it changes.

The beams are those that the consensus is chosen from, searched once: each weight chooses among
them. domain_text_base.json and domain_text_tuned.json hold what came of it.
"""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence

from moontune.data.word_lists.domain_text import sentences_of
from moontune.errors import UserError
from moontune.evaluation.domain_text.results import WeighedText
from moontune.evaluation.domain_text.weight import WEIGHTS, ChosenWeight, choose_weight
from moontune.evaluation.error_rates import word_edits
from moontune.models.consensus import Beams, agreed
from moontune.models.decoding import Transcript
from moontune.models.language_model import LanguageModel
from moontune.pipeline.consensus.search import SearchedClip
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import damage_as_user_error, file_sha256, write_json
from moontune.system.progress import Ui


def weigh_text(run: RunDir, ui: Ui, which: str, validation: Sequence[SearchedClip]) -> None:
    """Write what the run's text makes of a model's beams, its weight chosen on the validation
    clips; where it is of the run's own transcripts, by those of the training clips alone."""
    if run.config().terms.own_text:
        learnt, tested = _transcripts(run, "train"), write_own_text(run, "train", "val")
    else:
        learnt = tested = run.words.sentences()
    by_weight = {weight: LanguageModel(learnt, weight) for weight in WEIGHTS}
    edits = {
        weight: [word_edits(clip.utterance.text, _text(clip.beams, by)) for clip in validation]
        for weight, by in by_weight.items()
    }
    chosen = choose_weight(edits, len(validation))
    texts = _changed(_measured(run, which), LanguageModel(tested, chosen.weight))
    found = WeighedText(chosen, texts, file_sha256(run.words.domain_text))
    write_json(run.words.weighed_text_file(which), found.to_json())
    ui.note(f"your text, {which} model: {chosen.says}")


def write_own_text(run: RunDir, *splits: str) -> tuple[str, ...]:
    """Make a run's own transcripts its text; returns their sentences."""
    found = _transcripts(run, *splits)
    run.words.write_sentences(found)
    return found


def _transcripts(run: RunDir, *splits: str) -> tuple[str, ...]:
    texts = (u.text for split in splits for u in run.fitting(split))
    return tuple(sentence for text in texts for sentence in sentences_of(text))


def require_beams(run: RunDir) -> None:
    """Raises UserError where the base was measured without the beams that a text chooses among."""
    there = (run / "predictions_base.jsonl").is_file()
    if there and not all("beams" in row for row in run.predictions("base", any_version=True)):
        raise UserError(
            f"{run.path}: a text has a say among beams, and its base was measured without; "
            f"first: moontune baseline {shlex.quote(str(run.path))} --decoding consensus "
            "--overwrite"
        )


def weighed_text(run: RunDir, which: str) -> WeighedText:
    """What a model makes of the run's text. Raises UserError where that is not there, or of another
    text."""
    run.file(run.words.weighed_text_file(which).name)
    found = run.words.weighed_text(which)
    if found is None or found.text_sha256 != file_sha256(run.words.domain_text):
        raise UserError(
            f"{run.words.domain_text}: is not the text that was measured; {run.measured_again}"
        )
    return found


def take_over_weight(run: RunDir, folds: Sequence[RunDir]) -> None:
    """Give an adapter on all clips, which has no validation clips, the weight of its
    cross-validation: the lower median of those that the folds chose. Raises UserError."""
    if run.config().terms.own_text:
        write_own_text(run, "train")
    if not run.words.domain_text.is_file():
        return
    for which in ("base", "tuned"):
        found = [weighed_text(fold, which).chosen for fold in folds]
        weights = [one.weight for one in found]
        why = f"as the lower median of the folds ({', '.join(f'{w:g}' for w in weights)})"
        words = sum(one.words for one in found)
        chosen = ChosenWeight(statistics.median_low(weights), why, words)
        taken = WeighedText(chosen, {}, file_sha256(run.words.domain_text))
        write_json(run.words.weighed_text_file(which), taken.to_json())


def _measured(run: RunDir, which: str) -> dict[str, tuple[str, Beams]]:
    """Of each test clip the consensus and the model's beams, by the clip's id. Raises UserError."""
    require_beams(run)
    name = f"predictions_{which}.jsonl"
    found: dict[str, tuple[str, Beams]] = {}
    with damage_as_user_error(run / name, run.remedy(name)):
        for row in run.predictions(which):
            assert "consensus" in row
            assert "beams" in row
            beams = [(Transcript(t, [], cut), float(p)) for t, p, cut in row["beams"]]
            found[row["id"]] = row["consensus"]["hypothesis"], beams
    return found


def _changed(measured: Mapping[str, tuple[str, Beams]], by: LanguageModel) -> dict[str, str]:
    """The consensus with the text, of the clips where it is another."""
    texts = {clip: _text(beams, by) for clip, (_, beams) in measured.items()}
    return {clip: text for clip, text in texts.items() if text != measured[clip][0]}


def _text(beams: Beams, by: LanguageModel) -> str:
    """The consensus with a text; nothing where nothing is likely."""
    return agreed(beams, by).text if beams else ""
