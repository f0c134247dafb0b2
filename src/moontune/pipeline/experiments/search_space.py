"""The search space of a sweep: named settings and the values they may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

from moontune.config.loading import with_settings
from moontune.config.other_names import nearest_setting, setting_hint
from moontune.config.schema import LoraConfig, RunConfig, TrainConfig
from moontune.config.validation import in_effect, resolve
from moontune.errors import UserError

# Where `--tune NAME` alone looks. A..B is a range, taken on a logarithmic scale if B is 10 A or
# more; otherwise a list of values, of which a list is written with +.
SPACES = {
    "lr": "3e-5..1e-3",
    "max_steps": "50..500",
    "lora_r": "8,16,32,64",
    "lora_alpha": "16,32,64,128",
    "lora_dropout": "0..0.2",
    "lora_part": "both,encoder,decoder",
    "lora_variant": "lora,rslora",
    "lora_targets": "q_proj+v_proj,q_proj+k_proj+v_proj+o_proj,q_proj+k_proj+v_proj+o_proj+fc1+fc2",
    "grad_accum": "4,8,16",
    "warmup_steps": "0,25,50,100",
    "lr_schedule": "cosine,linear,constant",
    "weight_decay": "0,0.01,0.1",
    "ema_decay": "0,0.95,0.98,0.99",
    "wise_ft": "0.25,0.5,0.75,1",
}
_NOT_TRIED = {"eval_every_steps", "early_stop_patience", "max_skipped_updates", "dtype"} | {
    # The validation loss does not say what they are for.
    "token_dropout",
    "backwards_share",
    "mwer_steps",
}
_LOGARITHMIC = 10.0  # ends so far apart or further


@dataclass(frozen=True)
class Dimension:
    """One setting: a range (`low`, `high`), or the words of `choices`."""

    name: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    choices: tuple[str, ...] = ()

    @property
    def logarithmic(self) -> bool:
        return self.low > 0 and self.high / self.low >= _LOGARITHMIC

    @property
    def values(self) -> Sequence[Any] | None:
        """All there are; None: too many to name."""
        if self.choices:
            return self.choices
        return range(round(self.low), round(self.high) + 1) if self.whole else None

    def distribution(self) -> Any:
        """For optuna."""
        from optuna import distributions

        if self.choices:
            return distributions.CategoricalDistribution(self.choices)
        if self.whole:
            return distributions.IntDistribution(
                round(self.low), round(self.high), log=self.logarithmic
            )
        return distributions.FloatDistribution(self.low, self.high, log=self.logarithmic)

    def of(self, config: RunConfig) -> Any:
        """The configuration's own value as a trial would have it; None if none could."""
        own = value_of(config, self.name)
        if not self.choices:
            return own if own is not None and self.low <= own <= self.high else None
        for choice in self.choices:
            if value_of(configured(config, {self.name: choice}), self.name) == own:
                return choice
        return None


def value_of(config: RunConfig, name: str) -> Any:
    """A setting of the adapter or of its training, as it is in effect."""
    config = in_effect(config)
    return getattr(config.lora if hasattr(config.lora, name) else config.train, name)


def as_setting(value: Any) -> Any:
    """A trial's value as a configuration file would have it."""
    if not isinstance(value, str):
        return value
    return value.split("+") if "+" in value else value


def configured(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """The configuration with a trial's values. Raises UserError for one out of its range.

    The scale, alpha / r or rsLoRA's alpha / sqrt(r), is kept where only the rank is tried.
    """
    settings = {name: as_setting(value) for name, value in values.items()}
    changed = with_settings(config, settings, "--tune")
    if "lora_r" in settings and "lora_alpha" not in settings:
        larger = changed.lora.lora_r / config.lora.lora_r
        if changed.lora.lora_variant == "rslora":
            larger = larger**0.5
        alpha = config.lora.alpha * larger
        changed = replace(changed, lora=replace(changed.lora, lora_alpha=alpha))
    return resolve(changed)


def dimensions(words: tuple[str, ...], config: RunConfig) -> list[Dimension]:
    """The dimensions that `--tune` names, `NAME` or `NAME=VALUES` each. Raises UserError."""
    if not words:
        raise UserError("--tune names no setting; give some, such as lr lora_r")
    found = [_dimension(word) for word in words]
    names = [d.name for d in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"--tune names {twice} twice; give its values once")
    for d in found:
        for value in d.choices or (d.low, d.high):
            configured(config, {d.name: value})
    return found


def _dimension(word: str) -> Dimension:
    name, given, values = word.partition("=")
    if name in _NOT_TRIED:
        raise UserError(
            f"--tune {name}: the validation loss does not say which is better; give it as a flag, "
            "for all trials"
        )
    types = {
        name: hint
        for cls in (LoraConfig, TrainConfig)
        for name, hint in get_type_hints(cls).items()
        if name not in _NOT_TRIED
    }
    if name not in types:
        near = nearest_setting(name, types)
        hint = setting_hint(name, near) if near else f"it may be of {', '.join(types)}"
        raise UserError(f"--tune {name}: is no setting of the adapter or its training; {hint}")
    if not given and name not in SPACES:
        raise UserError(f"--tune {name}: give its values too, such as {name}=1,2,4")
    values = values if given else SPACES[name]
    low, dots, high = values.partition("..")
    if not dots:
        choices = tuple(dict.fromkeys(v.strip() for v in values.split(",") if v.strip()))
        if len(choices) < 2:
            raise UserError(f"--tune {word}: nothing to choose from; give two values or more")
        return Dimension(name, choices=choices)
    try:
        ends = float(low), float(high)
    except ValueError:
        raise UserError(f"--tune {word}: {values} is no range; write 1e-4..1e-3") from None
    if not ends[0] < ends[1]:
        raise UserError(f"--tune {word}: {values} is empty; give the lower end first")
    return Dimension(name, *ends, whole=int in (types[name], *get_args(types[name])))
