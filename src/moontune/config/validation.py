"""Settings beside each other: what follows from others, and what none may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from moontune.config.fields import known_keys, ranged
from moontune.config.schema import (
    DEFAULT_UTTERANCES,
    MOST_OTHERS,
    Decoding,
    GeneralConfig,
    Range,
    RunConfig,
    TermsConfig,
)
from moontune.errors import UserError
from moontune.languages.table import language_named
from moontune.system.files import real_path


def in_effect(config: RunConfig) -> RunConfig:
    """With what is left open and follows from other settings, to show or to compare: a saved
    configuration leaves it open, so that it still follows where another is forked from it."""
    lora, train = config.lora, config.train
    lora = dataclasses.replace(lora, lora_alpha=lora.alpha)
    if train.max_steps is not None:
        every = train.validation_every
        train = dataclasses.replace(train, warmup_steps=train.warmup, eval_every_steps=every)
    return dataclasses.replace(config, lora=lora, train=train)


def without_effect(config: RunConfig) -> frozenset[str]:
    """The settings that change nothing beside the others, and so say nothing of a run."""
    idle: list[str] = []
    if config.data.source != "librispeech":
        idle += ["dataset", "dataset_revision", "dataset_split", "rows_per_speaker"]
    if config.data.source != "manifest":
        idle.append("manifest")
    if config.general.general == "off":
        idle += ["general_manifest", "general_utterances"]
    if not config.general.replay_share:
        idle += ["replay_manifest", "replay_utterances"]
    return frozenset(idle)


def resolve(config: RunConfig) -> RunConfig:
    """Fill in what follows from other settings, then check everything. Raises UserError."""
    data = config.data
    if data.source is None:
        chosen = "librispeech" if data.manifest is None else "manifest"
        data = dataclasses.replace(data, source=chosen)
    if data.manifest is not None and data.source != "manifest":
        raise UserError(
            f"--manifest and --source {data.source} exclude each other; give one of them"
        )
    if data.source == "manifest" and not data.manifest:
        raise UserError("--source manifest needs the file; add --manifest FILE.jsonl")
    if data.utterances is None and data.source != "manifest":
        data = dataclasses.replace(data, utterances=DEFAULT_UTTERANCES)
    config = dataclasses.replace(
        config,
        data=data,
        terms=_resolve_terms(config.terms, config.eval.decoding),
        general=_resolve_general(config.general, data.manifest or ()),
    )
    _check_ranges(config)
    clean = config.clean
    if clean.min_duration_s >= clean.max_duration_s:
        raise UserError(
            f"min_duration_s = {clean.min_duration_s} is not below "
            f"max_duration_s = {clean.max_duration_s}; lower it"
        )
    if config.split.val_share + config.split.test_share > 0.6:
        raise UserError(
            f"val_share + test_share = {config.split.val_share + config.split.test_share:g} leaves "
            "less than 0.4 for training; lower them"
        )
    if config.report.smoke and data.source not in ("synthetic", "silence"):
        raise UserError(
            f"--smoke accepts without looking at WER, so not for --source {data.source}; "
            "use it with synthetic or silence"
        )
    if config.train.backwards_share + config.general.replay_share > MOST_OTHERS + 1e-9:
        raise UserError(
            f"--backwards-share {config.train.backwards_share:g} and --replay-share "
            f"{config.general.replay_share:g} leave too few places for the run's own clips: at "
            f"most {MOST_OTHERS:g} in sum; give less of one, such as --backwards-share 0"
        )
    if not config.lora.lora_targets:
        raise UserError("lora_targets is empty; name at least one layer, such as q_proj v_proj")
    return config


def _resolve_terms(terms: TermsConfig, decoding: Decoding) -> TermsConfig:
    if terms.own_text and terms.domain_text is not None:
        raise UserError("--own-text and --domain-text exclude each other; give one of them")
    if terms.has_text and decoding == "greedy":
        flag = "--own-text" if terms.own_text else "--domain-text"
        raise UserError(f"{flag} has a say among beams; add --decoding consensus")
    return dataclasses.replace(
        terms,
        key_terms=terms.key_terms and terms.key_terms.absolute(),
        domain_text=terms.domain_text and terms.domain_text.absolute(),
    )


def _resolve_general(general: GeneralConfig, own: Sequence[Path]) -> GeneralConfig:
    if general.general_manifest is not None and general.general == "auto":
        general = dataclasses.replace(general, general="manifest")
    if (general.general == "manifest") != (general.general_manifest is not None):
        raise UserError(
            "--general manifest and --general-manifest FILE.jsonl go together; give both or neither"
        )
    for flag, file in (
        ("--general-manifest", general.general_manifest),
        ("--replay-manifest", general.replay_manifest),
    ):
        if file is not None and real_path(file) in [real_path(path) for path in own]:
            raise UserError(f"{flag} {file} is the run's own --manifest; give other speech")
    if general.replay_manifest is not None and not general.replay_share:
        raise UserError("--replay-manifest is used only with a --replay-share above 0, such as 0.2")
    return general


def _check_ranges(config: RunConfig) -> None:
    if config.model.language is not None:
        language_named(config.model.language)
    for name, value, allowed in ranged(config):
        _check_range(name, value, allowed)


def _check_range(name: str, value: float, allowed: Range) -> None:
    low, high = allowed.sane
    if not low <= value <= high:  # also refuses NaN
        raise UserError(
            f"{name} = {value} is outside {low:g}..{high:g}: {allowed.why}; "
            f"give a value in that range"
        )


def check_values(**values: float) -> None:
    """Raises UserError for a value outside the range of the setting of its name."""
    known = known_keys()
    for name, value in values.items():
        for extra in getattr(known[name][1], "__metadata__", ()):
            if isinstance(extra, Range):
                _check_range(name, value, extra)


def check_choice(**values: str) -> None:
    """Raises UserError for a value that is none of those of the setting of its name."""
    known = known_keys()
    for name, value in values.items():
        choices = get_args(known[name][1])
        if value not in choices:
            raise UserError(f"{name} = {value!r}: give one of {', '.join(choices)}")


def remarks(config: RunConfig) -> list[str]:
    """Settings that work but lie outside what moontune is meant for, a sentence each."""
    return [
        f"{name} = {value:g} is outside {r.plan[0]:g}..{r.plan[1]:g}, what moontune is meant for"
        for name, value, r in ranged(config)
        if r.plan is not None and not r.plan[0] <= value <= r.plan[1]
    ]
