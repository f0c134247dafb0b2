"""Stage sample: utterances taken from the source into a new run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import write_manifest
from moontune.data.sources.dispatch import sample
from moontune.pipeline.general_speech import sample_more_speech
from moontune.pipeline.run_dir import RunDir
from moontune.system.cache import cache_dir
from moontune.system.files import write_jsonl
from moontune.system.progress import Ui


def sample_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    taken = sample(
        config.data,
        config.clean,
        seed=config.output.seed,
        audio_dir=cache_dir() / "audio",
        progress=ui.progress,
    )
    write_manifest(run.manifest("sampled"), taken.utterances, keep_where=True)
    write_jsonl(run.manifest("dropped"), [{"stage": "sample", **asdict(d)} for d in taken.dropped])
    facts = {"utterances": len(taken.utterances), "dropped": len(taken.dropped)}
    ui.note(f"{len(taken.utterances)} utterances from {config.data.source}")
    again = [u for u in taken.utterances if u.where and u.id.endswith(f"#{_line(u.where)}")]
    if again:
        ui.note(
            f"remark: {len(again)} ids were used before, e.g. {again[0].where}, now {again[0].id}"
        )
    return facts | {"origin": taken.origin} | sample_more_speech(run, config, ui)


def _line(where: str) -> str:
    return where.rpartition(":")[2]
