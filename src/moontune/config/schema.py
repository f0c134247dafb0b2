"""Every setting, once: its name, default, meaning and allowed range.

The flags of the command line, the keys of a configuration file and the saved `config.toml` are
derived from these classes (`config/loading.py`). Names are unique across sections, so that a file
may be flat or sectioned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from moontune.languages.table import ENGLISH, Language, current, language_named
from moontune.system.device import DeviceName

MOST_OTHERS = 0.9  # of the clips in training that are not the run's own as they are
Decoding = Literal["greedy", "consensus", "thorough"]


@dataclass(frozen=True)
class Range:
    """Bounds of a number: refused outside `sane` with `why`, remarked on outside `plan`."""

    sane: tuple[float, float]
    why: str
    plan: tuple[float, float] | None = None


@dataclass(frozen=True)
class DataConfig:
    source: Literal["librispeech", "manifest", "synthetic", "silence"] | None = None
    """Where utterances come from; `synthetic` and `silence` need no network and no recordings.
    Default: `manifest` if one is given, else `librispeech`."""
    manifest: tuple[Path, ...] | None = None
    """JSONL manifest of your own, one utterance a line, or whatever else `moontune import` takes: a
    folder, a table, subtitles. Several are joined, in their order."""
    after: Path | None = None
    """A run that this one comes after, with new clips: its own come along and stay in their splits,
    and the report says what the new ones bought."""
    dataset: str = "openslr/librispeech_asr"
    """Hub id of LibriSpeech, or a folder of parquet files in its columns."""
    dataset_revision: str | None = None
    """Commit of the dataset to pin. Default: the newest."""
    dataset_split: str = "train.clean.100"
    """Part of LibriSpeech to sample, as in train.clean.100, test.clean, test.other."""
    utterances: Annotated[
        int | None,
        Range((5, 100_000), "fewer cannot be split, more is not a small adaptation", (200, 500)),
    ] = None
    """How many utterances to sample. Default: 300, or every row of your own manifest."""
    rows_per_speaker: Annotated[
        int, Range((1, 10_000), "at least one row of each speaker is needed")
    ] = 10
    """At most this many LibriSpeech rows of one speaker, so that there are dozens of speakers."""


@dataclass(frozen=True)
class CleanConfig:
    min_duration_s: Annotated[
        float, Range((0.056, 30.0), "the model's convolutions need 895 samples, 0.056 s")
    ] = 0.3
    """Shorter clips are dropped."""
    max_duration_s: Annotated[
        float, Range((1.0, 60.0), "the model was trained on clips of 4-30 s")
    ] = 30.0
    """Longer clips are dropped."""
    max_chars_per_s: Annotated[
        float, Range((5.0, 1000.0), "even fast speech has about 20 characters a second")
    ] = 40.0
    """Clips with more text than this for their length are dropped: nobody can say it that fast."""
    keep_annotations: bool = False
    """Keep what is not speech in transcripts: [laughter], (inaudible), SPEAKER 1:, markup."""


@dataclass(frozen=True)
class SplitConfig:
    val_share: Annotated[float, Range((0.01, 0.45), "training needs the larger part")] = 0.1
    """Share of the audio for validation."""
    test_share: Annotated[float, Range((0.01, 0.45), "training needs the larger part")] = 0.1
    """Share of the audio for the test split; the rest trains. (crossval has its folds instead.)"""
    split_by: Literal["auto", "speaker", "utterance"] = "auto"
    """`speaker`: no speaker in two splits; the figures are for people who were never heard.
    `utterance`: by recording, days and files kept whole; they are for these voices. `auto`: by
    speaker if three are named, or found by folders or file names."""


@dataclass(frozen=True)
class ModelConfig:
    model_id: str = "UsefulSensors/moonshine-tiny"
    """The base: a hub id, a folder saved by save_pretrained, or `bundled` (8-bit, offline)."""
    revision: str | None = None
    """Commit of the base to pin. Default: the newest."""
    language: str | None = None
    """What is spoken and written, as a code of ISO 639-1: ar, ja, ko, zh, uk, vi, es, en. Default:
    the base's own. Decides normaliser, error rate, style and token rate (docs/languages.md)."""


@dataclass(frozen=True)
class DeviceConfig:
    device: DeviceName = "auto"
    """Where to compute. `auto`: cuda if there is one, else mps, else cpu."""


@dataclass(frozen=True)
class LabelConfig:
    label_style: Literal["auto", "as-written", "restore", "lower"] = "auto"
    """How training text is written. `auto` and `restore`: as the base model writes, whatever the
    references' case and punctuation. `as-written` teaches their typography too; `lower` none."""
    keep_suspects: bool = False
    """Train on transcripts too that do not seem to be what is said (suspects.jsonl lists them)."""


@dataclass(frozen=True)
class LoraConfig:
    lora_r: Annotated[int, Range((1, 256), "the rank cannot exceed the layer's width, 288")] = 32
    """Rank of the adapter."""
    lora_alpha: Annotated[
        float | None, Range((0.1, 1024), "alpha / r scales the adapter and must be above zero")
    ] = None
    """Scale: the update is multiplied by alpha / r. Default: twice the rank."""
    lora_dropout: Annotated[
        float, Range((0.0, 0.9), "it is the probability to drop an adapter's input")
    ] = 0.05
    """Dropout on the adapter's input."""
    lora_targets: tuple[Literal["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"], ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "fc1",
        "fc2",
    )
    """Linear layers to adapt; attention names cover cross-attention too."""
    lora_part: Literal["both", "encoder", "decoder"] = "both"
    """Which half of the model to adapt."""
    lora_variant: Literal["lora", "rslora"] = "lora"
    """`rslora` scales by alpha / sqrt(r), not alpha / r."""

    @property
    def alpha(self) -> float:
        return 2.0 * self.lora_r if self.lora_alpha is None else self.lora_alpha


@dataclass(frozen=True)
class TrainConfig:
    batch_size: Annotated[int, Range((1, 256), "an update needs at least one clip")] = 1
    """Clips in a micro-batch; an update takes batch_size * grad_accum clips, and how many go
    through the model at once, which changes nothing, is chosen for speed and memory."""
    grad_accum: Annotated[
        int, Range((1, 1024), "an update needs at least one micro-batch", (8, 16))
    ] = 8
    """Micro-batches per optimizer update; the update's loss is the mean over all its tokens."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the matrix products in training and its validation; figures before and after
    are always measured in float32. `auto`: bfloat16 on GPUs and x86 processors with units for it,
    else float32."""
    token_dropout: Annotated[float, Range((0.0, 0.5), "it is a share of the tokens")] = 0.2
    """Share of the tokens before the one to write that are replaced by others in training and its
    validation, so that the decoder listens more and trusts less in what it wrote."""
    backwards_share: Annotated[
        float, Range((0.0, MOST_OTHERS), "it is a share of the clips of an update")
    ] = 0.15
    """Share of the clips in training that are the run's own, heard backwards, with what the base
    writes for them, often nothing: against forgetting, without other speech. 0: none."""
    max_steps: Annotated[int | None, Range((1, 1_000_000), "a step is one optimizer update")] = None
    """Optimizer updates. Default: picked for the data."""
    lr: Annotated[
        float | None, Range((1e-7, 1e-2), "beyond it LoRA on this model does not train")
    ] = None
    """Peak learning rate. Default: picked for the data."""
    warmup_steps: Annotated[int | None, Range((0, 100_000), "it counts optimizer updates")] = None
    """Updates over which the rate rises from zero (at most a fifth of max_steps is used).
    Default: a tenth of max_steps."""
    lr_schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls after the warm-up, to zero at max_steps."""
    weight_decay: Annotated[float, Range((0.0, 1.0), "AdamW's decay is a fraction")] = 0.0
    """AdamW weight decay on the adapter."""
    max_grad_norm: Annotated[float, Range((1e-3, 1e6), "gradients are clipped to it")] = 1.0
    """Gradients are scaled down to this norm."""
    ema_decay: Annotated[float, Range((0.0, 0.9999), "an average's decay is below one")] = 0.98
    """The adapter kept is a moving average over about 1 / (1 - this) updates; 0 takes the last."""
    wise_ft: Annotated[float, Range((0.05, 1.0), "it is a share of the way from the base")] = 0.75
    """How far to go from the base towards what was learnt (WiSE-FT): less keeps more of what the
    base knew. Applied whenever the adapter is validated or kept."""
    eval_every_steps: Annotated[int | None, Range((1, 1_000_000), "it counts updates")] = None
    """Updates between validations, on the whole validation split or, if it has more than 64 clips,
    on as many as keep validation under a tenth of the time. Default: a tenth of max_steps."""
    early_stop_patience: Annotated[int, Range((0, 10_000), "it counts validations")] = 5
    """Stop after this many validations without a new best; 0 never stops early."""
    mwer_steps: Annotated[int, Range((0, 100_000), "it counts optimizer updates")] = 0
    """Updates on word errors that follow (minimum word error rate training): of the transcripts
    that the model finds likeliest, those with fewer wrong words get likelier. Each takes three to
    five times as long as the others. They took errors off a strong accent, and added some to acted
    speech (docs/experiments.md). 0: none."""
    max_skipped_updates: Annotated[int, Range((0, 10_000), "it counts updates")] = 5
    """So many updates with a non-finite loss or gradient are borne; one more ends the training."""

    # What may be left to be picked for the data (`config/recommended.py`), once it is.

    @property
    def updates(self) -> int:
        assert self.max_steps is not None
        return self.max_steps

    @property
    def peak_lr(self) -> float:
        assert self.lr is not None
        return self.lr

    @property
    def warmup(self) -> int:
        return self.updates // 10 if self.warmup_steps is None else self.warmup_steps

    @property
    def validation_every(self) -> int:
        if self.eval_every_steps is None:
            return max(1, self.updates // 10)
        return self.eval_every_steps


@dataclass(frozen=True)
class TokenCap:
    """The most new tokens of a greedy transcript, EOS included: without a limit it can loop.

    The rate is the model card's, 6.5 a second for Latin scripts and 13 for others; the margin is
    for clips of a second or two, where fast speech needs more than the rate gives
    (`benchmarks/decoding/`).
    """

    per_second: float
    margin: int

    def __call__(self, duration_s: float) -> int:
        """Tokens for a clip of so many seconds, at least one."""
        return max(1, int(duration_s * self.per_second) + self.margin)

    def __str__(self) -> str:
        return f"int(seconds x {self.per_second:g}) + {self.margin}"


@dataclass(frozen=True)
class EvalConfig:
    tokens_per_second: Annotated[
        float | None, Range((1.0, 50.0), "the model's own cap is 6.5 tokens a second, or 13")
    ] = None
    """A transcript may have int(seconds * this) + token_margin tokens: uncapped, it can loop.
    Default: the language's, 6.5, or 13 where it is not written in Latin letters."""
    token_margin: Annotated[int, Range((0, 64), "a loop may go on for so many tokens")] = 8
    """Tokens beyond the rate: the model card's 2 cuts short, fast clips; 8 cut none of 1,202."""
    decoding: Decoding = "greedy"
    """`consensus`: also what 8 beams agree on, a WER of its own for base and tuned model, in two
    to three times the time. `thorough`: the beams at three speeds, in five to six times."""
    artifact_clips: Annotated[int, Range((3, 5), "the artifact test uses 3 to 5 clips")] = 5
    """Held-out clips that the reloaded artifact transcribes in a fresh process."""

    @property
    def token_cap(self) -> TokenCap:
        """At the rate of the current language where none is given."""
        rate = self.tokens_per_second or current().tokens_per_second
        return TokenCap(rate, self.token_margin)


@dataclass(frozen=True)
class TermsConfig:
    key_terms: Path | None = None
    """Words and phrases that it must know, one a line: base and tuned model are counted by them,
    and each also writes them where what is heard sounds like one (docs/key_terms.md)."""
    domain_text: Path | None = None
    """With --decoding consensus, text as what is said is worded, or a manifest: words that follow
    one another there are likelier, by a weight chosen on the validation clips
    (docs/experiments.md)."""
    own_text: bool = False
    """The same by the transcripts of the run's own training and validation clips."""

    @property
    def has_text(self) -> bool:
        """Whether a text has a say in the consensus."""
        return self.own_text or self.domain_text is not None


@dataclass(frozen=True)
class GeneralConfig:
    general: Literal["auto", "librispeech", "bundled", "manifest", "off"] = "auto"
    """General speech, not trained on, that shows what the adapter forgot. `auto`: LibriSpeech
    test-clean, or where that cannot be had the recordings in the `bundled` extra."""
    general_manifest: Path | None = None
    """General speech of your own for that check, as a manifest."""
    general_utterances: Annotated[
        int, Range((5, 100_000), "fewer clips show nothing, and every clip is measured twice")
    ] = 100
    """At most this many clips of it, of as many speakers as there are."""
    replay_share: Annotated[
        float, Range((0.0, MOST_OTHERS), "it is a share of the clips of an update")
    ] = 0.0
    """Share of the clips in training that is general speech, against forgetting; 0: none."""
    replay_manifest: Path | None = None
    """General speech of your own to replay. Default: LibriSpeech train-clean-100."""
    replay_utterances: Annotated[int, Range((5, 100_000), "fewer would be learnt by heart")] = 300
    """At most this many clips of it, of as many speakers as there are."""


@dataclass(frozen=True)
class OutputConfig:
    run_name: str | None = None
    """Name of the run's folder. Default: source and time."""
    output_dir: Path = Path("outputs")
    """Runs are written below it."""
    seed: Annotated[int, Range((0, 2**31 - 1), "it seeds 32-bit generators")] = 42
    """Seed of the sampling, the split, the adapter's start, the order and the dropout."""


@dataclass(frozen=True)
class ReportConfig:
    report_file: Path | None = None
    """The report that collects the figures of all runs, newest first, without transcripts, names of
    speakers or folders elsewhere. Default: `training_report.md` beside the run."""
    report_clips: Annotated[int, Range((0, 200), "each clip's audio is embedded in the page")] = 12
    """Changed clips to show with audio in `report.html`, and as many whose transcripts look
    wrong."""
    smoke: bool = False
    """Accept on artifacts alone (only for the sources `synthetic` and `silence`)."""


@dataclass(frozen=True)
class RunConfig:
    """Adapt a Moonshine model with LoRA and measure honestly whether it helped."""

    data: DataConfig = field(default_factory=DataConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    terms: TermsConfig = field(default_factory=TermsConfig)
    general: GeneralConfig = field(default_factory=GeneralConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    @property
    def language(self) -> Language:
        """What is spoken; English as long as nothing says another."""
        return ENGLISH if self.model.language is None else language_named(self.model.language)


DEFAULT_UTTERANCES = 300
PLAN_MINUTES = (30.0, 60.0)


Folds = int | Literal["speaker"]
