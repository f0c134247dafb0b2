"""Stage labels: training text in the style the base writes, from references and its transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.data.labels import make_labels
from moontune.data.manifest import Utterance, read_run_manifest, write_manifest
from moontune.data.splitting import SPLITS
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.general_speech import general_speech
from moontune.pipeline.run_dir import RunDir
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import write_json
from moontune.system.progress import Ui

if TYPE_CHECKING:
    from moontune.models.transcriber import Transcriber


def labels_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: ProcessGroup = SINGLE,
    known: dict[str, str] | None = None,
) -> dict[str, Any]:
    """`known`: the base's transcripts by audio file that are there already; gets the new ones."""
    style = config.labels.label_style
    transcripts = BaseTranscripts(run, config, ui, group, {} if known is None else known)
    splits = group.on_main(lambda: {name: read_run_manifest(run.manifest(name)) for name in SPLITS})
    labels = make_labels(splits, style, transcripts)
    labelled = dict(labels.utterances)
    for name in ("general", "replay"):  # each in the style its own references need
        utterances = group.on_main(lambda name=name: general_speech(run, name))
        if utterances:
            extra = make_labels({"train": utterances}, style, transcripts)
            labelled[name] = extra.utterances["train"]
    if group.is_main:
        transcripts.write()
        for name, utterances in labelled.items():
            write_manifest(run.manifest(name), utterances)
    summary = labels.summary
    ui.note(f"references are {summary['references']}; labels: {summary['used']}")
    for example in summary["examples"][:2]:
        ui.note(f"  {example['text'][:60]} => {example['target'][:60]}")
    return summary | transcripts.base_facts


class BaseTranscripts:
    """The base's transcripts of utterances; the base is loaded once one of them is not known."""

    def __init__(
        self, run: RunDir, config: RunConfig, ui: Ui, group: ProcessGroup, known: dict[str, str]
    ) -> None:
        """`known`: transcripts by audio file, to which new ones are added."""
        self._run, self._config, self._ui, self._group = run, config, ui, group
        self._known = known
        self._by_id: dict[str, str] = {}
        self._transcriber: Transcriber | None = None
        self.base_facts: dict[str, Any] = {}  # of the base and its device, once it is loaded

    def __call__(self, utterances: Sequence[Utterance]) -> dict[str, str]:
        """Transcripts by the utterances' ids."""
        new = [u for u in utterances if str(u.audio) not in self._known]
        if new:
            self._transcribe(new)
        texts = {u.id: self._known[str(u.audio)] for u in utterances}
        self._by_id |= texts
        return texts

    def _transcribe(self, utterances: Sequence[Utterance]) -> None:
        from moontune.models.transcriber import load_audio, shared_batches

        transcriber = self._load()
        batches = shared_batches(utterances, self._group)
        total = sum(map(len, batches))
        texts: list[tuple[int, str]] = []
        for indices in batches:
            clips = [load_audio(utterances[i]) for i in indices]
            transcripts = transcriber(clips, self._config.eval.token_cap)
            texts += [(i, t.text) for i, t in zip(indices, transcripts, strict=True)]
            self._ui.progress(len(texts), total, "clips transcribed by the base, for style")
        for i, text in self._group.gather(texts):
            self._known[str(utterances[i].audio)] = text

    def _load(self) -> Transcriber:
        from moontune.models.transcriber import Transcriber

        if self._transcriber is None:
            base, self.base_facts = load_base_for(self._run, self._config, self._group)
            self._transcriber = Transcriber(base)
        return self._transcriber

    def write(self) -> None:
        """Write base_transcripts.json, where any were asked for."""
        if self._by_id:
            write_json(self._run / "base_transcripts.json", self._by_id)
