"""The base's transcripts of a run's utterances, and how their texts fit, each computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.data.audio import AudioPart
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
class BaseCache:
    """Transcripts and fits under the base, the same in every fold of a run."""

    transcripts: dict[Path | AudioPart, str] = field(default_factory=dict)
    fits: dict[tuple[Path | AudioPart, str], Fit] = field(default_factory=dict)  # audio and text


class BaseTranscripts:
    """The base's transcripts of utterances; the base is loaded once one of them is not known."""

    def __init__(
        self,
        run: RunDir,
        config: RunConfig,
        ui: Ui,
        group: ProcessGroup = SINGLE,
        cache: BaseCache | None = None,
    ) -> None:
        """`cache` gets what is new."""
        self._run, self._config, self._ui, self._group = run, config, ui, group
        self._cache = cache or BaseCache()
        self._by_id: dict[str, str] = {}
        self._base: Base | None = None
        self._transcriber: Transcriber | None = None
        self.base_facts: dict[str, Any] = {}  # of the base and its device, once it is loaded

    def __call__(self, utterances: Sequence[Utterance]) -> dict[str, str]:
        """Transcripts by the utterances' ids."""
        cache = self._cache.transcripts
        new = [u for u in utterances if u.audio not in cache]
        if new:
            self._transcribe(new)
        texts = {u.id: cache[u.audio] for u in utterances}
        self._by_id = texts | self._by_id  # the run's own first, then general speech
        return texts

    def fits(self, utterances: Sequence[Utterance]) -> list[Fit]:
        """Fits of texts to their audio, in the base's own way of writing and so alike for every
        split. `utterances` are to be all that the run has: they are tried with each other."""
        from moontune.evaluation.screening.transcript_fit import transcript_fits
        from moontune.evaluation.typography import reference_in_style_of
        from moontune.models.transcriber import load_audio

        cache, written = self._cache.fits, self(utterances)
        if any((u.audio, u.text) not in cache for u in utterances):
            plain = [
                replace(u, target=reference_in_style_of(u.text, written[u.id])) for u in utterances
            ]
            # in one order, whatever the split: which clips are tried together depends on it
            plain.sort(key=lambda u: (str(u.audio), u.text))
            fits = transcript_fits(
                self.base(), plain, load_audio, self.dtype, self._group, self._ui.progress
            )
            cache.update({(u.audio, u.text): fit for u, fit in zip(plain, fits, strict=True)})
        return [cache[u.audio, u.text] for u in utterances]

    @property
    def dtype(self) -> torch.dtype:
        """The type that texts are held against audio in, and that training computes in."""
        return dtype_of(self.base(), self._config)

    def _transcribe(self, utterances: Sequence[Utterance]) -> None:
        from moontune.models.transcriber import Transcriber, transcripts_of

        if self._transcriber is None:
            self._transcriber = Transcriber(self.base())

        def step(done: int, total: int) -> None:
            self._ui.progress(done, total, "clips transcribed by the base")

        cap = self._config.eval.token_cap
        found = transcripts_of(self._transcriber, utterances, cap, self._group, step)
        for u, transcript in zip(utterances, found, strict=True):
            self._cache.transcripts[u.audio] = transcript.text

    def base(self) -> Base:
        """The base of the run, loaded."""
        if self._base is None:
            self._base, self.base_facts = load_base_for(self._run, self._config, self._group)
        return self._base

    def write(self) -> None:
        """Write base_transcripts.json, where any were asked for."""
        if self._by_id:
            write_json(self._run / "base_transcripts.json", self._by_id)
