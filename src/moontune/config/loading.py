"""Settings from files and flags into the configuration, checked, and back into a file."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from moontune.config.schema import DEFAULT_UTTERANCES, MOST_OTHERS, GeneralConfig, Range, RunConfig
from moontune.errors import UserError
from moontune.system.redaction import refuse_secrets


def _sections() -> dict[str, type]:
    return {f.name: get_args(hint)[0] if get_args(hint) else hint for f, hint in _hints(RunConfig)}


def _hints(cls: type) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = get_type_hints(cls, include_extras=True)
    return [(f, hints[f.name]) for f in dataclasses.fields(cls)]


def _known_keys() -> dict[str, tuple[str, Any]]:
    """Setting name -> (section, type hint)."""
    return {
        f.name: (section, hint) for section, cls in _sections().items() for f, hint in _hints(cls)
    }


def _coerce(hint: Any, value: Any) -> Any:  # noqa: C901
    """A value from a file as the setting's type; raises TypeError or ValueError."""
    if hasattr(hint, "__metadata__"):
        hint = get_args(hint)[0]
    options = get_args(hint)
    if type(None) in options:
        if value is None:
            return None
        return _coerce(next(o for o in options if o is not type(None)), value)
    if hint is Path:
        if not isinstance(value, str):
            raise TypeError("expected a path")
        return Path(value)
    if hint is bool:
        if not isinstance(value, bool):
            raise TypeError("expected true or false")
        return value
    if hint is int:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise TypeError("expected a whole number")
        return int(value)
    if hint is float:  # YAML 1.1 reads 3e-4 as a string
        if isinstance(value, bool):
            raise TypeError("expected a number")
        return float(value)
    if hint is str:
        if not isinstance(value, str):
            raise TypeError("expected text")
        return value
    if getattr(hint, "__origin__", None) is tuple:
        items = value.split() if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise TypeError("expected a list")
        return tuple(_coerce(options[0], item) for item in items)
    if getattr(hint, "__origin__", None) is Literal:
        if value is False and "off" in options:  # YAML 1.1 reads off so
            return "off"
        if value not in options:
            raise ValueError(f"expected one of {', '.join(map(str, options))}")
        return value
    raise AssertionError(f"setting type {hint!r} is not handled")


_RETIRED = {  # values that an older moontune knew, and why they are no more
    "keep_best_by": (("wer", "both"), "the update with the least validation loss is kept"),
    "lora_variant": (("dora", "pissa"), "DoRA took twice the time, PiSSA heard no better"),
}


def retired(settings: dict[str, Any]) -> dict[str, str]:
    """Settings of an older moontune that cannot be heeded any more, each with what to do."""
    return {
        name: f"{name} = {settings[name]!r} is no more: {why}; take it out"
        for name, (values, why) in _RETIRED.items()
        if settings.get(name) in values
    }


def without_retired(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run of an older moontune, as far as they still are any."""
    gone = retired(settings)
    return {k: v for k, v in settings.items() if k not in gone and k != "keep_best_by"}


def with_settings(config: RunConfig, settings: dict[str, Any], where: str) -> RunConfig:
    """A copy with named settings changed; `where` names their origin in errors.

    A manifest without a source replaces whatever source was set before.
    """
    known = _known_keys()
    if settings.get("manifest") is not None and "source" not in settings:
        settings = {**settings, "source": "manifest"}
    for sentence in retired(settings).values():
        raise UserError(f"{where}: {sentence}")
    changes: dict[str, dict[str, Any]] = {}
    for name, value in without_retired(settings).items():
        if name not in known:
            import difflib

            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see `moontune run --help`"
            raise UserError(f"{where}: unknown setting {name!r}; {hint}")
        section, hint = known[name]
        try:
            changes.setdefault(section, {})[name] = _coerce(hint, value)
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}: {name} = {value!r}: {error}; correct it") from None
    parts = {s: dataclasses.replace(getattr(config, s), **c) for s, c in changes.items()}
    return dataclasses.replace(config, **parts)


def read_settings(path: Path) -> dict[str, Any]:
    """Settings of a TOML or YAML file, sections flattened. Raises UserError."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give a TOML or YAML file") from None
    refuse_secrets(text, str(path))
    try:
        if path.suffix.lower() in (".yaml", ".yml"):
            import yaml

            loaded = yaml.safe_load(text)
        elif path.suffix.lower() == ".toml":
            loaded = tomllib.loads(text)
        else:
            raise UserError(f"{path}: unknown kind of file; name it .toml, .yaml or .yml")
    except ValueError as error:  # tomllib.TOMLDecodeError, or a YAML date that is none
        raise UserError(f"{path}: cannot be parsed ({error}); correct it") from None
    except Exception as error:
        if type(error).__module__.split(".")[0] != "yaml":
            raise
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise UserError(f"{path}{line}: not valid YAML ({problem}); correct it") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: expected settings such as `lr = 3e-4`; see the README")
    flat: dict[str, Any] = {}
    sections = _sections()
    for key, value in loaded.items():
        if isinstance(value, dict):
            if key not in sections:
                known = ", ".join(sections)
                raise UserError(f"{path}: unknown section [{key}]; known are {known}")
            flat.update(value)
        else:
            flat[key] = value
    return flat


def to_dict(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Sections of plain values, as saved; settings that are None are left out."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return value.as_posix()
        return list(value) if isinstance(value, tuple) else value

    return {
        s.name: {
            f.name: plain(v)
            for f in dataclasses.fields(getattr(config, s.name))
            if (v := getattr(getattr(config, s.name), f.name)) is not None
        }
        for s in dataclasses.fields(config)
    }


def to_toml(config: RunConfig) -> str:
    import tomli_w

    return tomli_w.dumps(to_dict(config))


def setting_text(value: Any) -> Any:
    """A setting's value in words; whole numbers and text as they are."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else value


def in_effect(config: RunConfig) -> RunConfig:
    """With what is left open and follows from other settings, to show or to compare: a saved
    configuration leaves it open, so that it still follows where another is forked from it."""
    lora, train = config.lora, config.train
    lora = dataclasses.replace(lora, lora_alpha=lora.alpha)
    if train.max_steps is not None:
        every = train.validation_every
        train = dataclasses.replace(train, warmup_steps=train.warmup, eval_every_steps=every)
    return dataclasses.replace(config, lora=lora, train=train)


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
    if data.source == "manifest" and data.manifest is None:
        raise UserError("--source manifest needs the file; add --manifest FILE.jsonl")
    if data.utterances is None and data.source != "manifest":
        data = dataclasses.replace(data, utterances=DEFAULT_UTTERANCES)
    config = dataclasses.replace(
        config, data=data, general=_resolve_general(config.general, data.manifest)
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
    augment = config.train.augment
    if "none" in augment:
        if augment != ("none",):
            raise UserError(f"augment = {' '.join(augment)}: none stands alone; take it out")
        config = dataclasses.replace(config, train=dataclasses.replace(config.train, augment=()))
    if config.train.backwards_share + config.general.replay_share > MOST_OTHERS + 1e-9:
        raise UserError(
            f"--backwards-share {config.train.backwards_share:g} and --replay-share "
            f"{config.general.replay_share:g} leave too few places for the run's own clips: at "
            f"most {MOST_OTHERS:g} in sum; give less of one, such as --backwards-share 0"
        )
    if not config.lora.lora_targets:
        raise UserError("lora_targets is empty; name at least one layer, such as q_proj v_proj")
    return config


def _resolve_general(general: GeneralConfig, own: Path | None) -> GeneralConfig:
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
        if file is not None and own is not None and file.resolve() == own.resolve():
            raise UserError(f"{flag} {file} is the run's own --manifest; give other speech")
    if general.replay_manifest is not None and not general.replay_share:
        raise UserError("--replay-manifest is used only with a --replay-share above 0, such as 0.2")
    return general


def _check_ranges(config: RunConfig) -> None:
    for name, value, allowed in _ranged(config):
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
    known = _known_keys()
    for name, value in values.items():
        for extra in getattr(known[name][1], "__metadata__", ()):
            if isinstance(extra, Range):
                _check_range(name, value, extra)


def _ranged(config: RunConfig) -> list[tuple[str, float, Range]]:
    found: list[tuple[str, float, Range]] = []
    for section, cls in _sections().items():
        for f, hint in _hints(cls):
            value = getattr(getattr(config, section), f.name)
            for extra in getattr(hint, "__metadata__", ()):
                if isinstance(extra, Range) and value is not None:
                    found.append((f.name, value, extra))
    return found


def remarks(config: RunConfig) -> list[str]:
    """Settings that work but lie outside the plan's ranges, a sentence each."""
    return [
        f"{name} = {value:g} is outside the plan's {r.plan[0]:g}..{r.plan[1]:g}"
        for name, value, r in _ranged(config)
        if r.plan is not None and not r.plan[0] <= value <= r.plan[1]
    ]
