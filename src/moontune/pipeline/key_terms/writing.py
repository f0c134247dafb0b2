"""The list of a run written by one of its models: the bonus chosen on validation clips, and the
transcripts of the test clips that it changes.

key_terms_base.json and key_terms_tuned.json hold both.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moontune.config.schema import RunConfig, TokenCap
from moontune.data.manifest import Utterance
from moontune.data.word_lists.key_terms import KeyTerm, read_key_terms
from moontune.errors import UserError
from moontune.evaluation.key_terms.bonus import (
    BONUSES,
    ChosenBonus,
    choose_bonus,
    tried_bonuses,
)
from moontune.evaluation.key_terms.results import WrittenTerms
from moontune.evaluation.predictions import PredictionRow
from moontune.languages.table import current
from moontune.models.decoding import Transcript
from moontune.models.key_terms.weighing import KeyTerms
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.distributed import ProcessGroup
from moontune.system.files import file_sha256, write_json
from moontune.system.progress import Ui

if TYPE_CHECKING:
    from moontune.models.base_model import Base
    from moontune.models.transcriber import Transcriber


def write_key_terms(
    run: RunDir, config: RunConfig, ui: Ui, base: Base, which: str, group: ProcessGroup
) -> None:
    """Write what the model as it is now makes of the run's list; `which` is base or tuned. Without
    a list, what is there of an earlier one is taken away."""
    if config.terms.key_terms is None:
        if group.is_main:
            run.words.written_terms_file(which).unlink(missing_ok=True)
        return
    terms, digest = group.on_main(
        lambda: (read_key_terms(run.words.key_terms), file_sha256(run.words.key_terms))
    )
    if why := _not_written(terms):
        found = WrittenTerms(ChosenBonus(None, why), {}, digest)
    else:
        from moontune.models.transcriber import Transcriber

        writer = Transcriber(base, key_terms=KeyTerms(terms))
        work = _Work(writer, config.eval.token_cap, which, ui, group)
        chosen = _chosen(run, terms, work)
        texts = _texts(run, chosen, work)
        found = WrittenTerms(chosen, texts, digest)
    if group.is_main:
        write_json(run.words.written_terms_file(which), found.to_json())
        ui.note(f"key terms, {which} model: {found.chosen.says}")


def written_terms(run: RunDir, which: str) -> WrittenTerms:
    """What a model makes of the run's list. Raises UserError where that is not there, or of another
    list."""
    run.file(run.words.written_terms_file(which).name)
    found = run.words.written_terms(which)
    if found is None or found.list_sha256 != file_sha256(run.words.key_terms):
        raise UserError(
            f"{run.words.key_terms}: is not the list that was measured; {run.measured_again}"
        )
    return found


def take_over_bonus(run: RunDir, folds: Sequence[RunDir]) -> None:
    """Give an adapter on all clips, which has no validation clips, the bonus of its
    cross-validation: the lower median of those that the folds chose. Raises UserError."""
    if not run.words.key_terms.is_file():
        return
    for which in ("base", "tuned"):
        found = [written_terms(fold, which).chosen for fold in folds]
        bonuses = [one.bonus for one in found if one.bonus is not None]
        bonus = statistics.median_low(bonuses) if 2 * len(bonuses) > len(found) else None
        listed = ", ".join("none" if b is None else f"{b:g}" for b in (o.bonus for o in found))
        which_of = "most of the folds" if bonus is None else "the lower median of the folds"
        chosen = ChosenBonus(bonus, f"as {which_of} ({listed})", sum(one.clips for one in found))
        file = run.words.written_terms_file(which)
        write_json(file, WrittenTerms(chosen, {}, file_sha256(run.words.key_terms)).to_json())


def _not_written(terms: Sequence[KeyTerm]) -> str:
    """Why a list is counted and not written; "" where it is."""
    if not current().spaced:
        return f"{current().name} has no spaces between words, so terms are counted alone"
    return "" if any(term.weight for term in terms) else "every term has the weight 0"


@dataclass(frozen=True)
class _Work:
    """A model that writes the list, and who watches."""

    writer: Transcriber
    cap: TokenCap
    which: str
    ui: Ui
    group: ProcessGroup

    def by_bonus(
        self,
        clips: Sequence[Utterance],
        known: Sequence[Transcript] | None,
        bonuses: Sequence[float],
        what: str,
    ) -> list[list[Transcript]]:
        """Greedy transcripts (`known`: what they are), then those by each bonus."""
        from moontune.models.transcriber import transcripts_by_bonus

        def step(done: int, total: int) -> None:
            said = f"{what} clips for key terms, {self.which} model"
            self.ui.progress(done, total, said)

        place = (self.writer, clips, known, bonuses)
        return transcripts_by_bonus(*place, cap=self.cap, group=self.group, step=step)


def _chosen(run: RunDir, terms: Sequence[KeyTerm], work: _Work) -> ChosenBonus:
    clips = work.group.on_main(lambda: run.fitting("val"))
    found = work.by_bonus(clips, None, BONUSES, "validation")
    texts = {
        bonus: [t.text for t in transcripts]
        for bonus, transcripts in zip((None, *BONUSES), found, strict=True)
    }
    counted = [term for term in terms if term.weight]
    return choose_bonus(tried_bonuses(counted, [u.text for u in clips], texts), len(clips))


def _texts(run: RunDir, chosen: ChosenBonus, work: _Work) -> dict[str, str]:
    """Transcripts of the test clips that the list changes."""
    if chosen.bonus is None:
        return {}
    clips, rows = work.group.on_main(lambda: _tested(run, work.which))
    known = [Transcript(r["hypothesis"], r.get("tokens", []), r["truncated"]) for r in rows]
    tried = [i for i, transcript in enumerate(known) if work.writer.tries_key_terms(transcript)]
    before, after = work.by_bonus(
        [clips[i] for i in tried], [known[i] for i in tried], [chosen.bonus], "test"
    )
    return {
        clips[i].id: other.text
        for i, one, other in zip(tried, before, after, strict=True)
        if one.text != other.text
    }


def _tested(run: RunDir, which: str) -> tuple[list[Utterance], list[PredictionRow]]:
    """Test clips and what the model wrote of them greedily."""
    rows = {row["id"]: row for row in run.predictions(which)}
    clips = run.utterances("test")
    return clips, [rows[u.id] for u in clips]
