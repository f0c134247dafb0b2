"""Settings from files into the configuration, and back into a file."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from moontune.config.fields import coerce, known_keys, sections
from moontune.config.other_names import nearest_setting, nearest_value, setting_hint
from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.system.formatting import why
from moontune.system.redaction import refuse_secrets

_AUGMENT = "augment"  # changes of the audio; none is what is done now
_KEEP_BEST_BY = "keep_best_by"  # a setting that an older moontune had; "loss" is what is done now
_RETIRED_VARIANTS = ("dora", "pissa")
RETIRED = {_KEEP_BEST_BY: "train", _AUGMENT: "train", "lora_variant": "lora"}  # sections by setting


def retired(settings: dict[str, Any]) -> dict[str, str]:
    """Settings of an older moontune that cannot be heeded any more, each with what to do."""
    reasons: dict[str, str] = {}
    if settings.get(_KEEP_BEST_BY, "loss") != "loss":
        reasons[_KEEP_BEST_BY] = "the update with the least validation loss is kept"
    if settings.get(_AUGMENT) not in (None, "none", [], ["none"]):
        reasons[_AUGMENT] = "no change of the audio heard better (docs/experiments.md)"
    if settings.get("lora_variant") in _RETIRED_VARIANTS:
        reasons["lora_variant"] = "DoRA took twice the time, PiSSA heard no better"
    return {
        name: f"{name} = {settings[name]!r} is no more: {why}; take it out"
        for name, why in reasons.items()
    }


def without_retired(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run of an older moontune, as far as they still are any."""
    gone = {*retired(settings), _KEEP_BEST_BY, _AUGMENT}
    return {name: value for name, value in settings.items() if name not in gone}


def with_settings(config: RunConfig, settings: dict[str, Any], where: str) -> RunConfig:
    """A copy with named settings changed; `where` names their origin in errors.

    A manifest without a source replaces whatever source was set before.
    """
    known = known_keys()
    if settings.get("manifest") is not None and "source" not in settings:
        settings = {**settings, "source": "manifest"}
    for sentence in retired(settings).values():
        raise UserError(f"{where}: {sentence}")
    changes: dict[str, dict[str, Any]] = {}
    for name, value in without_retired(settings).items():
        if name not in known:
            near = nearest_setting(str(name), known)
            hint = setting_hint(str(name), near) if near else "see `moontune run --help-all`"
            raise UserError(f"{where}: unknown setting {name!r}; {hint}")
        section, kind = known[name]
        try:
            changes.setdefault(section, {})[name] = coerce(kind, value)
        except (OverflowError, TypeError, ValueError) as error:
            raise UserError(f"{where}: {name} = {value!r}: {error}; correct it") from None
    parts = {s: dataclasses.replace(getattr(config, s), **c) for s, c in changes.items()}
    return dataclasses.replace(config, **parts)


def read_settings(path: Path) -> dict[str, Any]:
    """Settings of a TOML or YAML file, sections flattened. Raises UserError."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({why(error)}); give a TOML or YAML file"
        ) from None
    refuse_secrets(text, str(path))
    loaded = _parsed(path, text)
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: expected settings such as `lr = 3e-4`; see the README")
    flat: dict[str, Any] = {}
    for key, value in loaded.items():
        if isinstance(value, dict):
            if key not in sections():
                near = nearest_value(str(key), sections())
                known = f"known are {', '.join(sections())}"
                hint = f"did you mean [{near}]?" if near else known
                raise UserError(f"{path}: unknown section [{key}]; {hint}")
            _add(flat, value, path)
        else:
            _add(flat, {key: value}, path)
    return flat


def _parsed(path: Path, text: str) -> Any:
    try:
        if path.suffix.lower() in (".yaml", ".yml"):
            return _yaml(text)
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        raise UserError(f"{path}: unknown kind of file; name it .toml, .yaml or .yml")
    except RecursionError:
        raise UserError(f"{path}: nested too deep; correct it") from None
    except ValueError as error:  # tomllib.TOMLDecodeError, or a YAML date that is none
        raise UserError(f"{path}: cannot be parsed ({error}); correct it") from None
    except Exception as error:
        if type(error).__module__.split(".")[0] != "yaml":
            raise
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise UserError(f"{path}{line}: not valid YAML ({problem}); correct it") from None


def _add(flat: dict[str, Any], settings: dict[str, Any], path: Path) -> None:
    for name, value in settings.items():
        if name in flat:
            raise UserError(f"{path}: {name} is set twice; take one out")
        flat[name] = value


def _yaml(text: str) -> Any:
    """The settings of a YAML text. A key that stands twice is an error; YAML takes the last."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for i, key in enumerate(keys):
                if key in keys[:i]:
                    mark = node.value[i][0].start_mark
                    raise yaml.constructor.ConstructorError(
                        problem=f"{key} stands twice", problem_mark=mark
                    )
            return super().construct_mapping(node, deep)

    return Loader(text).get_single_data()


def to_dict(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Sections of plain values, as saved; settings that are None are left out."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return value.as_posix()
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    return {
        s.name: {
            f.name: plain(v)
            for f in dataclasses.fields(getattr(config, s.name))
            if (v := getattr(getattr(config, s.name), f.name)) is not None
        }
        for s in dataclasses.fields(config)
    }


def to_toml(config: RunConfig, retired_settings: dict[str, Any] | None = None) -> str:
    """The configuration as a file; of an older run, with its settings that are no more."""
    import tomli_w

    rows = to_dict(config)
    for name, value in (retired_settings or {}).items():
        rows[RETIRED[name]][name] = value
    return tomli_w.dumps(rows)


def setting_text(value: Any) -> Any:
    """A setting's value in words; whole numbers and text as they are."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else value
