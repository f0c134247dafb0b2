"""A run's transcripts held against their audio: which look wrong, and whether any belong to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, read_manifests
from moontune.data.splitting import SPLITS
from moontune.errors import UserError
from moontune.evaluation.error_rates import corpus_wer, word_edits
from moontune.evaluation.kept_adapter import MOSTLY_WRONG
from moontune.evaluation.screening.mismatch import diagnosis, has_spaces, is_shifted
from moontune.evaluation.screening.suspects import (
    FEWEST_CLIPS,
    MANY,
    MOST,
    Judgement,
    Suspect,
    can_judge,
)
from moontune.languages.table import current
from moontune.models.locate import vendor_language
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.base_transcripts import BaseTranscripts, dtype_of
from moontune.pipeline.run_folder.files import BASE_WORDS, SUSPECTS
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.distributed import ProcessGroup
from moontune.system.files import write_jsonl
from moontune.system.formatting import agreeing, counted, percent
from moontune.system.progress import Ui

if TYPE_CHECKING:
    import torch

    from moontune.models.base_model import Base

_FEW_ROWS = 5  # of a manifest, which say nothing about the rest of it
_SAMPLE = 64  # clips that show whether the base hears anything at all


@dataclass(frozen=True)
class Screening:
    """Suspects of a run, and remarks for its report."""

    suspects: list[Suspect]
    remarks: list[str]
    screened: bool = False  # the base could judge


def write_suspects(run: RunDir, suspects: Sequence[Suspect]) -> None:
    """Write suspects.jsonl, the least fitting first."""
    rows = sorted(suspects, key=lambda s: (s.fit, s.id))
    write_jsonl(run / SUSPECTS, [s.to_json() for s in rows])


def screen(
    run: RunDir,
    config: RunConfig,
    splits: Mapping[str, Sequence[Utterance]],
    transcripts: BaseTranscripts,
    ui: Ui,
    group: ProcessGroup,
) -> Screening:
    """Find the clips whose texts look wrong; of those not to test on, they are set aside.

    Where the base doubts many, adapters that never heard a clip judge it. Raises UserError where
    hardly any text belongs to its audio.
    """
    everything = [u for part in splits.values() for u in part]
    if config.data.source == "silence":
        return Screening([], [])
    written = transcripts(everything)
    if len(everything) < FEWEST_CLIPS:
        ui.note(f"fewer than {FEWEST_CLIPS} clips: single wrong transcripts are not looked for")
        return Screening([], _of_few(run, config, everything, written, group))
    judgement = Judgement.of("base", [u.id for u in everything], transcripts.fits(everything))
    remarks = _poor_base(everything, written)
    if len(judgement.nats) < len(everything) / 2:
        text = "most texts are alike, so they could not be held against their audio"
        return Screening([], [*remarks, text])
    aside = not config.labels.keep_suspects
    if judgement.share > MOST:
        if not _base_can_judge(everything, written, transcripts, group):
            return Screening([], [*remarks, "the base hears too little here to judge transcripts"])
        if aside and judgement.fits_by_chance:
            doubted = [u for u in everything if u.id in judgement.suspects]
            known = vendor_language(transcripts.base().origin.hub_id)
            raise _not_of_the_audio(run, config, doubted, written, group, writes=known)
        aside = False  # so many cannot be told apart
        remarks.append(
            f"{len(judgement.suspects)} of {len(everything)} transcripts "
            f"{agreeing(len(judgement.suspects), 'looks', 'look')} wrong, too many to "
            "set aside: listen to some of suspects.jsonl"
        )
    judgements = dict.fromkeys(splits, judgement)
    if MANY < judgement.share <= MOST:
        trained = [u for name in ("train", "val") for u in splits[name]]
        by_adapters = _of_adapters(
            run, config, trained, judgement.suspects, dtype=transcripts.dtype, ui=ui, group=group
        )
        if by_adapters is not None:
            judgements |= dict.fromkeys(("train", "val"), by_adapters)
    suspects = _suspects(splits, judgements, written)
    found, kept = _set_aside(suspects, splits) if aside else (suspects, [])
    remarks += _wrong_manifests(everything, found)
    return Screening(found, [*remarks, *kept], screened=judgement.share <= MOST)


def _of_few(
    run: RunDir,
    config: RunConfig,
    utterances: Sequence[Utterance],
    written: Mapping[str, str],
    group: ProcessGroup,
) -> list[str]:
    """Remarks on clips that are too few to tell what is chance. Raises UserError where the base
    has most words wrong and writes those of rows nearby."""
    remarks = _poor_base(utterances, written)
    if not remarks or config.labels.keep_suspects or len(utterances) < _FEW_ROWS:
        return remarks
    if is_shifted(group.on_main(lambda: _rows_in_order(run, config)), written):
        raise _not_of_the_audio(run, config, utterances, written, group, writes=None)
    return remarks


def _wrong_manifests(utterances: Sequence[Utterance], found: Sequence[Suspect]) -> list[str]:
    """Which of several manifests have more wrong texts than right ones."""
    manifest = {u.id: (u.where or "").rpartition(":")[0] for u in utterances}
    rows, wrong = Counter(manifest.values()), Counter(manifest[s.id] for s in found)
    if len(rows) == 1:
        return []
    return [
        f"{wrong[path]} of the {rows[path]} transcripts of {path} "
        f"{agreeing(wrong[path], 'looks', 'look')} wrong: look whether its texts stand in "
        "the rows of their audio, and leave it out if they do not"
        for path in sorted(rows)
        if path and rows[path] >= _FEW_ROWS and wrong[path] > MOST * rows[path]
    ]


def _set_aside(
    suspects: Sequence[Suspect], splits: Mapping[str, Sequence[Utterance]]
) -> tuple[list[Suspect], list[str]]:
    """Suspects of training and validation set aside, and remarks where a split would be left with
    less than half: it keeps them, or nothing could be validated on."""
    remarks = []
    counts = Counter(s.split for s in suspects)
    bare = {name for name, part in splits.items() if counts[name] > MOST * len(part)} - {"test"}
    for name in sorted(bare):
        remarks.append(
            f"{counts[name]} of the {len(splits[name])} transcripts in split {name} "
            f"{agreeing(counts[name], 'looks', 'look')} wrong, "
            "too many to set aside: listen to them, they may be one speaker's"
        )
    kept = bare | {"test"}
    return [replace(s, set_aside=s.split not in kept) for s in suspects], remarks


def screen_again(
    run: RunDir, config: RunConfig, tuned: Base, ui: Ui, group: ProcessGroup
) -> list[Suspect]:
    """The suspects, with what the tuned model writes for each; those of the test split, which it
    never heard, as it judges them. Nothing is taken from the test split."""
    from moontune.models.transcriber import Transcriber, transcripts_of

    splits = group.on_main(lambda: {s: run.utterances(s) for s in SPLITS})
    suspects = group.on_main(run.suspects)
    judged = group.on_main(lambda: run.stages()["labels"].get("screened", False))
    tested = _of_test(run, config, splits["test"], tuned, ui, group) if judged else None
    if tested is None:  # those of the base stay; of an earlier adapter none
        suspects = [s for s in suspects if s.judge != "tuned model"]
    else:
        suspects = [*(s for s in suspects if s.split != "test"), *tested]
    utterances = {u.id: u for part in splits.values() for u in part}

    def step(done: int, total: int) -> None:
        ui.progress(done, total, "suspect clips, tuned model")

    clips = [utterances[s.id] for s in suspects]
    found = transcripts_of(Transcriber(tuned), clips, config.eval.token_cap, group, step)
    return [replace(s, tuned=t.text) for s, t in zip(suspects, found, strict=True)]


def _of_test(
    run: RunDir,
    config: RunConfig,
    utterances: Sequence[Utterance],
    tuned: Base,
    ui: Ui,
    group: ProcessGroup,
) -> list[Suspect] | None:
    """Suspects of the test split, as the tuned model judges; None where it cannot."""
    from moontune.evaluation.screening.transcript_fit import transcript_fits
    from moontune.models.transcriber import load_audio

    if len(utterances) < FEWEST_CLIPS:
        return None
    dtype = dtype_of(tuned, config)
    fits = transcript_fits(tuned, utterances, load_audio, dtype, group, ui.progress)
    judgement = Judgement.of("tuned model", [u.id for u in utterances], fits)
    if judgement.share > MOST:
        return None
    written = group.on_main(lambda: run.texts(BASE_WORDS))
    return _suspects({"test": utterances}, {"test": judgement}, written)


def _suspects(
    splits: Mapping[str, Sequence[Utterance]],
    judgements: Mapping[str, Judgement],
    written: Mapping[str, str],
) -> list[Suspect]:
    """Suspects by one judgement a split; `written`: the base's transcripts by id."""
    return [
        Suspect(
            id=u.id,
            split=name,
            where=u.where or str(u.audio),
            speaker=u.speaker,
            text=u.text,
            base=written[u.id],
            tuned=None,
            fit=round(judgements[name].nats[u.id], 3),
            threshold=round(judgements[name].threshold, 3),
            judge=judgements[name].judge,
            set_aside=False,
        )
        for name, part in splits.items()
        for u in part
        if u.id in judgements[name].suspects
    ]


def _of_adapters(
    run: RunDir,
    config: RunConfig,
    utterances: Sequence[Utterance],
    doubted: frozenset[str],
    *,
    dtype: torch.dtype,
    ui: Ui,
    group: ProcessGroup,
) -> Judgement | None:
    """The judgement of adapters, each on the clips that it was not trained on; None where they
    cannot be trained, or doubt so many that they know less than the base."""
    from moontune.pipeline.heldout_fits import heldout_fits

    ui.note(
        f"{counted(len(doubted), 'transcript')} {agreeing(len(doubted), 'looks', 'look')} wrong to "
        "the base: two short trainings judge better"
    )
    fits = heldout_fits(
        lambda: load_base_for(run, config, group)[0],
        utterances,
        doubted,
        seed=config.output.seed,
        dtype=dtype,
        group=group,
        progress=ui.progress,
    )
    if fits is None:
        return None
    judgement = Judgement.of("held-out adapters", [u.id for u in utterances], fits)
    return judgement if judgement.share <= MOST else None


def _base_can_judge(
    utterances: Sequence[Utterance],
    written: Mapping[str, str],
    transcripts: BaseTranscripts,
    group: ProcessGroup,
) -> bool:
    """Whether what the base writes depends on what it hears: else it cannot judge."""
    from moontune.evaluation.screening.transcript_fit import transcript_fits
    from moontune.models.transcriber import load_audio

    own = [replace(u, target=written[u.id]) for u in utterances if written[u.id]]
    if len(own) < FEWEST_CLIPS:
        return False
    step = max(1, len(own) // _SAMPLE)
    base, dtype = transcripts.base(), transcripts.dtype
    return can_judge(transcript_fits(base, own[::step], load_audio, dtype, group))


def _poor_base(utterances: Sequence[Utterance], written: Mapping[str, str]) -> list[str]:
    rate = corpus_wer(word_edits(u.text, written[u.id]) for u in utterances)
    spaced = not current().spaced or has_spaces([u.text for u in utterances])
    if rate is None or rate < MOSTLY_WRONG or not spaced:
        return []
    return [
        f"the base has {percent(rate)} of the {current().unit}s wrong here: listen whether the "
        "texts are what is said; if so, less can be won from so poor a start, and a larger base "
        "may serve better"
    ]


def _not_of_the_audio(
    run: RunDir,
    config: RunConfig,
    doubted: Sequence[Utterance],
    written: Mapping[str, str],
    group: ProcessGroup,
    *,
    writes: str | None,  # the language that the base is known to write
) -> UserError:
    in_order = group.on_main(lambda: _rows_in_order(run, config))
    clip = max(doubted, key=lambda u: min(len(u.text), len(written[u.id])))
    return UserError(
        f"the texts are not what is said: {diagnosis(in_order, written, writes=writes)} (e.g. "
        f"{clip.where}: {clip.text[:50]!r}, but the base hears {written[clip.id][:50]!r}); correct "
        "the manifest and begin again with --overwrite, or train on them all the same: --overwrite "
        "--keep-suspects"
    )


def _rows_in_order(run: RunDir, config: RunConfig) -> list[Utterance]:
    if config.data.manifest is not None:  # all of them, also where some were sampled
        return read_manifests(config.data.manifest)[0]
    return run.utterances("sampled")
