"""The base of a run: its language, and the base itself on the configured device, its weights those
of every stage before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.languages.table import ENGLISH, Language, language_named
from moontune.models.locate import language_of_base, stated_language, vendor_language
from moontune.pipeline.run_folder.opening import pinned_revision
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.device import choose_device
from moontune.system.distributed import SINGLE, ProcessGroup

if TYPE_CHECKING:
    from moontune.models.base_model import Base


@contextmanager
def telling_where_base_was(run: RunDir, model_id: str) -> Iterator[None]:
    """Within the block, that the folder of the run's own base is gone is told with what to do: no
    flag of what is done to a run names another place."""
    try:
        yield
    except UserError as error:
        if error.problem != f"--model-id {model_id}: no such folder":
            raise
        raise UserError(
            f"{run.path}: its base is not at {model_id} any more; bring it back, or name its place "
            f"as model_id in {run.path / 'config.toml'}"
        ) from None


def load_base_for(
    run: RunDir, config: RunConfig, group: ProcessGroup = SINGLE
) -> tuple[Base, dict[str, Any]]:
    """The configured base on the configured device, and both as `run.json` records them.

    The first stage that loads the base decides which one it is: a hub's newest commit is pinned,
    and other weights under the same name are refused. Raises UserError.
    """
    from moontune.models.base_model import load_base

    device = choose_device(config.device.device)
    earlier = group.on_main(lambda: {n: f["base"] for n, f in run.stages().items() if "base" in f})
    revision = group.on_main(lambda: pinned_revision(run, config))
    with telling_where_base_was(run, config.model.model_id):
        base = load_base(config.model.model_id, revision, device.name)
    again = f"moontune labels {run.path} --overwrite"
    if group.on_main(lambda: run.kind) == "final":  # its figures are of the cross-validation's base
        again = f"moontune crossval --overwrite --run-name {run.path.resolve().parent.name}"
    remedy = f"bring those back, or begin again with: {again}"
    for stage, origin in earlier.items():
        require_same_weights(base.origin.sha256, origin["sha256"], stage, remedy)
    if group.on_main(lambda: base.origin.sha256) != base.origin.sha256:
        raise UserError(
            f"{base.origin.path}: not the weights that the first process loaded; bring the same "
            "ones to every machine, or give --revision"
        )
    return base, {"device": asdict(device), "base": asdict(base.origin)}


def require_same_weights(sha256: str, recorded: str, stage: str, remedy: str) -> None:
    """Raises UserError where the base's weights are other ones than those `stage` used."""
    if sha256 != recorded:
        raise UserError(
            f"the base's weights are not those of stage {stage} any more ({sha256[:12]}, then "
            f"{recorded[:12]}); {remedy}"
        )


def names_language(config: RunConfig) -> bool:
    """Whether the settings alone tell the language, and no base has to be there for it."""
    model = config.model
    known = model.language or vendor_language(model.model_id)
    return known is not None or model.model_id == "bundled"


def language_is_assumed(config: RunConfig) -> bool:
    """Whether nothing tells the language, neither the settings nor the base. Raises UserError where
    there is no such base."""
    model = config.model
    return model.language is None and stated_language(model.model_id, model.revision) is None


def with_language(config: RunConfig) -> RunConfig:
    """The configuration with what was left open of the language: the base's own, and its token
    rate. Raises UserError where the data cannot be in it."""
    model = config.model
    language = language_named(model.language or language_of_base(model.model_id, model.revision))
    rate = config.eval.tokens_per_second or language.tokens_per_second
    config = replace(
        config,
        model=replace(model, language=language.code),
        eval=replace(config.eval, tokens_per_second=rate),
    )
    return config if language == ENGLISH else _without_english_speech(config, language)


def as_open(config: RunConfig, saved: RunConfig) -> RunConfig:
    """The configuration with what it leaves open of the language as the saved one has it."""
    code = config.model.language or saved.model.language
    rate = config.eval.tokens_per_second or saved.eval.tokens_per_second
    return replace(
        config,
        model=replace(config.model, language=code),
        eval=replace(config.eval, tokens_per_second=rate),
    )


def of_another_base(config: RunConfig, saved: RunConfig) -> RunConfig:
    """A run's configuration with its settings changed: where that names another base and no
    language, the language and the rate are those of that base. Raises UserError."""
    model, known = config.model, saved.model
    if model.model_id == known.model_id or model.language != known.language:
        return with_language(config)
    own_rate = saved.language.tokens_per_second
    rate = config.eval.tokens_per_second
    return with_language(
        replace(
            config,
            model=replace(model, language=None),
            eval=replace(config.eval, tokens_per_second=None if rate == own_rate else rate),
        )
    )


def _without_english_speech(config: RunConfig, language: Language) -> RunConfig:
    """No general speech where that would be English; raises UserError where the run's own would be,
    or what was asked for beside it."""
    source, general = config.data.source, config.general
    if source in ("librispeech", "synthetic"):
        raise UserError(
            f"--source {source} is English speech, and the language is {language.name}: give your "
            "own, --manifest FILE.jsonl, or another --model-id"
        )
    if general.general in ("librispeech", "bundled"):
        raise UserError(
            f"--general {general.general} is English speech, and the language is {language.name}: "
            "give your own, --general-manifest FILE.jsonl, or leave it out"
        )
    if general.replay_share and general.replay_manifest is None:
        raise UserError(
            f"--replay-share replays English speech, and the language is {language.name}: add your "
            "own, --replay-manifest FILE.jsonl"
        )
    if general.general == "auto":
        config = replace(config, general=replace(general, general="off"))
    return config
