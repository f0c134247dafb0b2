"""Stage sample: utterances corpus from the source into a new run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import write_manifest
from moontune.data.sources.dispatch import sample_source
from moontune.pipeline.earlier_run import without_left_out
from moontune.pipeline.general_speech import sample_general_speech
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.cache import cache_dir
from moontune.system.files import write_jsonl
from moontune.system.formatting import counted
from moontune.system.progress import Ui


def sample_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    """Write the manifest `sampled`, the dropped rows, and the general speech beside them."""
    corpus = sample_source(
        config.data,
        config.clean,
        seed=config.output.seed,
        audio_dir=cache_dir() / "audio",
        find_speakers=config.split.split_by != "utterance",
        progress=ui.progress,
    )
    corpus = without_left_out(corpus, config.data)
    write_manifest(run.manifest("sampled"), corpus.utterances, keep_where=True)
    write_jsonl(run.manifest("dropped"), [{"stage": "sample", **asdict(d)} for d in corpus.dropped])
    facts = {"utterances": len(corpus.utterances), "dropped": len(corpus.dropped)}
    ui.note(f"{counted(len(corpus.utterances), 'utterance')} from {config.data.source}")
    if corpus.remark:
        ui.warn(corpus.remark)
    renamed = [u for u in corpus.utterances if u.renamed]
    if renamed:
        first = renamed[0]
        ids = "1 id was" if len(renamed) == 1 else f"{len(renamed)} ids were"
        ui.warn(f"{ids} used before, e.g. {first.where}, now {first.id}")
    return facts | {"origin": corpus.origin.to_json()} | sample_general_speech(run, config, ui)
