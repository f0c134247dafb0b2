"""What a collected report may hold of a run: figures, and no words of anybody's.

Such a report is passed on, and lies in repositories. So values are copied here field by field into
values of the same kind: numbers, moontune's own words and sentences that are made of numbers alone.
Whatever is not named here, such as a field that is new, is left out. The copies then go through the
same renderings as the values of a run's own report.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal, get_args, get_origin

from moontune.config.fields import known_keys
from moontune.config.loading import with_settings
from moontune.config.schema import RunConfig
from moontune.data.sources.base import DataOrigin
from moontune.evaluation.acceptance import Check, Verdict
from moontune.evaluation.measures import Comparison
from moontune.report.key_terms import public_key_terms
from moontune.report.provenance import Section, command_facts, setting_facts
from moontune.report.results.final import Expectation, FinalMetrics
from moontune.report.results.metrics import (
    BaseOrigin,
    Corpus,
    Environment,
    GeneralSpeech,
    RunData,
    RunMetrics,
)
from moontune.training.summary import TrainingSummary

_SENTENCES = ("wer", "cer", "loss", "typography")  # of a comparison, made of figures
_CHECKS = (  # whose details are figures, or names that moontune gives
    *("improved", "WER not worse", "CER not worse", "transcripts are speech", "test clips unseen"),
    *("best update kept", "stable training", "no MPS fallback", "artifacts complete"),
    *("same words in a fresh process", "expected to help"),
)
_CAUTIONS = (  # beginnings of those of a cross-validation that are made of figures
    *("Caution: ", "Split by recording: ", "Labels keep the references' typography"),
    "Do not rely on it: ",
)
_PATHS = (  # settings that are files, folders or names on the hub
    *("manifest", "after", "general_manifest", "replay_manifest"),
    *("key_terms", "domain_text"),
    *("dataset", "model_id", "output_dir", "report_file"),
)
_NAMES = ("run_name", "dataset_split", "dataset_revision", "revision", "language")
_HIDDEN = "..."  # in place of what is known neither as a figure nor as a path


@dataclass(frozen=True)
class Place:
    """The folder that a run was begun in: what lies in it may be named, what lies elsewhere not."""

    folder: str  # absolute; empty: not known

    @classmethod
    def of(cls, environment: Environment) -> Place:
        return cls(environment.folder)

    def path(self, text: str) -> str:
        """A path as seen from the folder; of one that leads out of it, the last part.

        Nothing is looked up: links in the folder count as what they are called.
        """
        if "\\" in text:
            return PureWindowsPath(text).name or _HIDDEN
        last = PurePosixPath(text).name or _HIDDEN
        if text.startswith("~"):
            return last
        if not self.folder:
            out = os.path.isabs(text) or os.path.normpath(text).split("/")[0] == os.pardir
            return last if out else text
        inside = os.path.relpath(os.path.join(self.folder, text), self.folder)
        if inside.split("/")[0] == os.pardir:
            return last
        return inside if os.path.isabs(text) or os.pardir in text.split("/") else text

    def word(self, text: str) -> str:
        """A word of a command line, with its path as above; of text with spaces nothing."""
        flag, equals, value = text.partition("=") if text.startswith("-") else ("", "", text)
        if equals or not flag:
            if "/" in value or "\\" in value or value.startswith("~"):
                return flag + equals + self.path(value)
            if any(c.isspace() for c in value):
                return flag + equals + _HIDDEN
        return text if not any(c.isspace() for c in flag) else _HIDDEN


def public_comparison(found: Comparison) -> Comparison:
    """The figures of a comparison; speakers are numbered, and no words are named."""
    return Comparison(
        utterances=found.utterances,
        speakers=found.speakers,
        words=found.words,
        seconds=found.seconds,
        bootstrap=found.bootstrap,
        measures=found.measures,
        edits=found.edits,
        truncated=found.truncated,
        clips=found.clips,
        by_speaker=[
            replace(row, name=f"speaker {number}")
            for number, row in enumerate(found.by_speaker, start=1)
        ],
        by_duration=found.by_duration,
        words_fixed=[],
        words_broken=[],
        style=found.style,
        collapsed=found.collapsed,
        sentences={name: found.sentences[name] for name in _SENTENCES if name in found.sentences},
        looped=found.looped,
        consensus=found.consensus,
        speeds=found.speeds,
        domain_text=found.domain_text,  # weights, and why, in figures
    )


def public_metrics(found: RunMetrics) -> RunMetrics:
    """The figures of a run. Its remarks name files and rows, so there are none."""
    place, data = Place.of(found.environment), found.data
    return RunMetrics(
        run=found.run,
        accepted=found.accepted,
        verdict=public_verdict(found.verdict),
        baseline=found.baseline,
        tuned=found.tuned,
        comparison=public_comparison(found.comparison),
        general=public_general(found.general, place),
        training=_training(found.training),
        data=RunData(
            corpus=_corpus(data.corpus, place),
            splits=data.splits,
            leakage=data.leakage,
            references=data.references,
            labels=data.labels,
            set_aside=data.set_aside,
            kept=data.kept,
        ),
        base=_base(found.base, place),
        device=found.device,
        environment=_environment(found.environment, place),
        stage_seconds=found.stage_seconds,
        remarks=[],
        confidence=found.confidence,
        key_terms=public_key_terms(found.key_terms),
        rare_words=found.rare_words,
    )


def public_final(found: FinalMetrics) -> FinalMetrics:
    """The figures of an adapter trained on all clips."""
    place, expected = Place.of(found.environment), found.expected
    return FinalMetrics(
        run=found.run,
        usable=found.usable,
        statement=found.statement,
        expected=Expectation(
            crossval=expected.crossval,
            folds=expected.folds,
            comparison=public_comparison(expected.comparison),
            cautions=public_cautions(expected.cautions),
            key_terms=public_key_terms(expected.key_terms),
        ),
        kept=found.kept,
        checks=_checks(found.checks),
        cautions=public_cautions(found.cautions),
        general=public_general(found.general, place),
        training=_training(found.training),
        corpus=_corpus(found.corpus, place),
        references=found.references,
        labels=found.labels,
        cap=found.cap,
        normalizer=found.normalizer,
        base=_base(found.base, place),
        device=found.device,
        environment=_environment(found.environment, place),
        stage_seconds=found.stage_seconds,
        remarks=[],
    )


def public_verdict(found: Verdict) -> Verdict:
    """`acceptance.judge` makes its sentences of figures alone; a test holds that."""
    return Verdict(
        accepted=found.accepted,
        smoke=found.smoke,
        state=found.state,
        sentence=found.sentence,
        rule=found.rule,
        findings=found.findings,
        checks=_checks(found.checks),
        cautions=found.cautions,
    )


def public_cautions(found: Sequence[str]) -> list[str]:
    """Those that are made of figures; a fold's remarks name manifests and rows."""
    return [text for text in found if text.startswith(_CAUTIONS)]


def public_general(found: GeneralSpeech, place: Place) -> GeneralSpeech:
    """The check for forgetting; why there is none may name a file."""
    return GeneralSpeech(
        comparison=None if found.comparison is None else public_comparison(found.comparison),
        origin=None if found.origin is None else public_origin(found.origin, place),
        remark="General speech was not measured.",
        replay=None if found.replay is None else public_origin(found.replay, place),
    )


def public_origin(found: DataOrigin, place: Place) -> DataOrigin:
    """The source of data, without folders outside."""
    files, dataset = found.manifest, found.dataset
    return DataOrigin(
        source=found.source,
        manifest=None if files is None else tuple(place.path(file) for file in files),
        rows=found.rows,
        speakers_from=found.speakers_from,
        engine=found.engine,
        voices=found.voices,
        dataset=None if dataset is None else place.path(dataset),
        split=found.split,
        asked=found.asked,
        seed=found.seed,
        rows_per_speaker=found.rows_per_speaker,
        min_duration_s=found.min_duration_s,
        max_duration_s=found.max_duration_s,
        revision=found.revision,
        found=found.found,
        speakers=found.speakers,
        outside_duration=found.outside_duration,
    )


def public_commands(commands: Sequence[Sequence[str]], place: Place) -> Section:
    """Commands, their paths as seen from the folder they were given in."""
    return command_facts(_words(commands, place))


def public_settings(config: RunConfig, reasons: Mapping[str, str], place: Place) -> Section:
    """Settings that are numbers or one of several words, and paths as seen from the folder."""
    paths = {
        name: value
        for name, (section, _) in known_keys().items()
        if name in _PATHS and (value := getattr(getattr(config, section), name)) is not None
    }
    seen = {
        name: [place.path(str(file)) for file in value]
        if isinstance(value, tuple)
        else place.path(str(value))
        for name, value in paths.items()
    }
    source = {"source": config.data.source} if config.data.source else {}
    return setting_facts(with_settings(config, seen | source, "settings"), dict(reasons), _SHOWN)


def _is_figure(hint: Any) -> bool:
    """Whether all values of a setting's type are numbers, yes or no, or of a list of words."""
    if hasattr(hint, "__metadata__"):
        return _is_figure(get_args(hint)[0])
    if get_origin(hint) is Literal or hint in (bool, int, float, type(None), Ellipsis):
        return True
    return bool(get_args(hint)) and all(map(_is_figure, get_args(hint)))


_SHOWN = {
    *_PATHS,
    *_NAMES,
    *(name for name, (_, hint) in known_keys().items() if _is_figure(hint)),
}


def _checks(found: Sequence[Check]) -> list[Check]:
    return [check if check.name in _CHECKS else replace(check, detail="") for check in found]


def _corpus(found: Corpus, place: Place) -> Corpus:
    return Corpus(
        utterances=found.utterances,
        speakers=found.speakers,
        minutes=found.minutes,
        origin=public_origin(found.origin, place),
        dropped=found.dropped,
        annotations=found.annotations,
    )


def _base(found: BaseOrigin, place: Place) -> BaseOrigin:
    return BaseOrigin(
        asked=place.path(found.asked),
        hub_id=place.path(found.hub_id),
        revision=found.revision,
        sha256=found.sha256,
        from_hub=found.from_hub,
        model_type=found.model_type,
    )


def _training(found: TrainingSummary) -> TrainingSummary:
    return TrainingSummary(
        figures=found.figures,
        stopped=found.stopped,
        skipped=found.skipped,
        utterances_seen=found.utterances_seen,
        seconds_validating=found.seconds_validating,
        trainable_parameters=found.trainable_parameters,
        dtype=found.dtype,
        reversed_clips=found.reversed_clips,
        recommended=found.recommended,
        reasons=found.reasons,
        degenerated=found.degenerated,
    )


def _environment(found: Environment, place: Place) -> Environment:
    return Environment(
        started=found.started,
        commands=_words(found.commands, place),
        python=found.python,
        platform=found.platform,
        versions=found.versions,
        git_revision=found.git_revision,
    )


def _words(commands: Sequence[Sequence[str]], place: Place) -> list[list[str]]:
    return [[place.word(word) for word in words] for words in commands]
