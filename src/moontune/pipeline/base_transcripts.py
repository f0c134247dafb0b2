"""The base's transcripts of a run's utterances, and how their texts fit, each computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.run_dir import RunDir
from moontune.system.device import training_dtype
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import write_json
from moontune.system.progress import Ui

if TYPE_CHECKING:
    import torch

    from moontune.evaluation.screening.suspects import Fit
    from moontune.models.base_model import Base
    from moontune.models.transcriber import Transcriber


def dtype_of(base: Base, config: RunConfig) -> torch.dtype:
    """The type that training computes in."""
    import torch

    return getattr(torch, training_dtype(base.device, config.train.dtype))


@dataclass(frozen=True)
class KnownOfBase:
    """What the base makes of clips, by their audio: the same in every fold of a run."""

    transcripts: dict[str, str] = field(default_factory=dict)
    fits: dict[str, Fit] = field(default_factory=dict)


class BaseTranscripts:
    """The base's transcripts of utterances; the base is loaded once one of them is not known."""

    def __init__(
        self,
        run: RunDir,
        config: RunConfig,
        ui: Ui,
        group: ProcessGroup = SINGLE,
        known: KnownOfBase | None = None,
    ) -> None:
        """`known` gets what is new."""
        self._run, self._config, self._ui, self._group = run, config, ui, group
        self._known = known or KnownOfBase()
        self._by_id: dict[str, str] = {}
        self._base: Base | None = None
        self._transcriber: Transcriber | None = None
        self.base_facts: dict[str, Any] = {}  # of the base and its device, once it is loaded

    def __call__(self, utterances: Sequence[Utterance]) -> dict[str, str]:
        """Transcripts by the utterances' ids."""
        known = self._known.transcripts
        new = [u for u in utterances if str(u.audio) not in known]
        if new:
            self._transcribe(new)
        texts = {u.id: known[str(u.audio)] for u in utterances}
        self._by_id |= texts
        return texts

    def fits(self, utterances: Sequence[Utterance]) -> list[Fit]:
        """How texts fit their audio, in the base's own way of writing and so alike for every
        split. `utterances` are to be all that the run has: they are tried with each other."""
        from moontune.evaluation.screening.transcript_fit import transcript_fits
        from moontune.evaluation.typography import reference_in_style_of
        from moontune.models.transcriber import load_audio

        known, written = self._known.fits, self(utterances)
        if any(str(u.audio) not in known for u in utterances):
            plain = [
                replace(u, target=reference_in_style_of(u.text, written[u.id])) for u in utterances
            ]
            # in one order, whatever the split: which clips are tried together depends on it
            plain.sort(key=lambda u: str(u.audio))
            fits = transcript_fits(
                self.base(), plain, load_audio, self.dtype, self._group, self._ui.progress
            )
            known |= {str(u.audio): fit for u, fit in zip(plain, fits, strict=True)}
        return [known[str(u.audio)] for u in utterances]

    @property
    def dtype(self) -> torch.dtype:
        """The type that texts are held against audio in, and that training computes in."""
        return dtype_of(self.base(), self._config)

    def _transcribe(self, utterances: Sequence[Utterance]) -> None:
        from moontune.models.transcriber import Transcriber, load_audio, shared_batches

        if self._transcriber is None:
            self._transcriber = Transcriber(self.base())
        batches = shared_batches(utterances, self._group)
        total = sum(map(len, batches))
        texts: list[tuple[int, str]] = []
        for indices in batches:
            clips = [load_audio(utterances[i]) for i in indices]
            transcripts = self._transcriber(clips, self._config.eval.token_cap)
            texts += [(i, t.text) for i, t in zip(indices, transcripts, strict=True)]
            self._ui.progress(len(texts), total, "clips transcribed by the base")
        for i, text in self._group.gather(texts):
            self._known.transcripts[str(utterances[i].audio)] = text

    def base(self) -> Base:
        """The base of the run, loaded."""
        if self._base is None:
            self._base, self.base_facts = load_base_for(self._run, self._config, self._group)
        return self._base

    def write(self) -> None:
        """Write base_transcripts.json, where any were asked for."""
        if self._by_id:
            write_json(self._run / "base_transcripts.json", self._by_id)
