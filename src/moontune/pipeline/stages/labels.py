"""Stage labels: training text in the style the base writes, from references and its transcripts."""

from __future__ import annotations

from typing import Any

from moontune.config.recommended import DataSummary, recommend
from moontune.config.schema import RunConfig
from moontune.data.labels import make_labels
from moontune.data.manifest import Utterance, write_manifest
from moontune.data.splitting import SPLITS
from moontune.pipeline.base_transcripts import BaseCache, BaseTranscripts
from moontune.pipeline.general_speech import general_speech
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.screening import Screening, screen, write_suspects
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.formatting import agreeing, counted, shortened
from moontune.system.progress import Ui


def labels_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: ProcessGroup = SINGLE,
    cache: BaseCache | None = None,
) -> dict[str, Any]:
    """`cache`: what the base made of the clips before; gets what is new."""
    style = config.labels.label_style
    transcripts = BaseTranscripts(run, config, ui, group, cache)
    splits = group.on_main(lambda: {name: run.utterances(name) for name in SPLITS})
    labels = make_labels(splits, style, transcripts)
    labelled = dict(labels.utterances)
    screening = screen(run, config, labels.utterances, transcripts, ui, group)
    for name in ("general", "replay"):  # each in the style its own references need
        utterances = group.on_main(lambda name=name: general_speech(run, name))
        if utterances:
            extra = make_labels({"train": utterances}, style, transcripts)
            labelled[name] = extra.utterances["train"]
    transcripts.backwards(_to_reverse(labels.utterances["train"], screening, config))
    if group.is_main:
        transcripts.write()
        write_suspects(run, screening.suspects)
        for name, utterances in labelled.items():
            write_manifest(run.manifest(name), utterances, keep_where=True)
    summary = labels.summary
    written = summary["references"] if config.language.cased else "of one case"
    ui.note(f"references are {written}; labels: {summary['used']}")
    for example in summary["examples"][:2]:
        ui.note(f"  {shortened(example['text'])} => {shortened(example['target'])}")
    _tell(screening, ui)
    return (
        summary
        | transcripts.base_facts
        | {
            "suspects": len(screening.suspects),
            "set_aside": sum(s.set_aside for s in screening.suspects),
            "screened": screening.screened,
            "remarks": screening.remarks,
        }
    )


def _to_reverse(train: list[Utterance], screening: Screening, config: RunConfig) -> list[Utterance]:
    """The clips that a training by the run's settings hears backwards."""
    from moontune.training.reversed_clips import choose

    aside = {s.id for s in screening.suspects if s.set_aside}
    own = [u for u in train if u.id not in aside]
    if not own:
        return []
    config, _ = recommend(config, DataSummary(len(own), None))
    return choose(own, config.train)


def _tell(screening: Screening, ui: Ui) -> None:
    """Remarks, and the least fitting transcripts."""
    for remark in screening.remarks:
        ui.warn(remark)
    if not screening.suspects:
        return
    many, aside = len(screening.suspects), sum(s.set_aside for s in screening.suspects)
    text = f"{counted(many, 'transcript')} {agreeing(many, 'looks', 'look')} wrong"
    if aside:
        which = "it" if many == 1 else f"{aside} of them"
        text += (
            f"; {which} {agreeing(aside, 'is', 'are')} not trained or validated on "
            f"(--keep-suspects keeps {agreeing(aside, 'it', 'them')})"
        )
    ui.note(f"{text}. The report lets you listen.")
    for s in sorted(screening.suspects, key=lambda s: s.fit)[:2]:
        ui.note(f"  {s.where}: written {shortened(s.text)!r}, the base hears {shortened(s.base)!r}")
