"""Help of a verb: its flags in groups, what people use first; the rest on demand."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

from moontune.cli.flags import Flag
from moontune.config.loading import setting_text

HELP_ALL = "--help-all"
_SHORT_LIST = 12  # flags; a list that long is shown whole
_NARROWEST, _WIDEST = 50, 100  # columns
_COLUMN = 24  # where texts begin


@dataclass(frozen=True)
class Group:
    """Flags under one heading: those used first, in their order; then those of its sections."""

    title: str
    first: tuple[str, ...]
    sections: tuple[str, ...]
    more: tuple[str, ...] = ()  # single fields of other groups' sections, or of none


GROUPS = (
    Group(
        "data",
        ("manifest", "source", "utterances", "split_by", "label_style", "keep_suspects"),
        ("data", "clean", "split", "labels"),
    ),
    Group("model", ("model_id", "language", "device", "lora_r"), ("model", "device", "lora")),
    Group(
        "training",
        ("preset", "config", "tune", "trials", "max_steps", "lr", "batch_size", "grad_accum"),
        ("train",),
        ("replay_share", "replay_manifest", "replay_utterances"),
    ),
    Group(
        "measuring",
        ("folds", "key_terms", "domain_text", "own_text", "general", "general_manifest"),
        ("eval", "terms", "general"),
        ("smoke",),
    ),
    Group(
        "output",
        ("run_name", "output_dir", "resume", "overwrite", "seed"),
        ("output", "report"),
    ),
)


def help_text(prog: str, about: str, flags: Sequence[Flag], *, everything: bool = False) -> str:
    """The help of a verb, as wide as the terminal.

    `about` says what it does. More than a dozen flags that are settings of a run are grouped, and
    those for experts are left out, unless it shall be `everything`.
    """
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    return "\n".join(_lines(prog, about, flags, everything, width))


def usage(prog: str, flags: Sequence[Flag]) -> str:
    """`usage: moontune train RUN [flags]`: all that must be given, and in brackets an argument that
    may be left out."""
    needed = [
        f"[{flag.form}]" if flag.positional and flag.default is None else flag.form
        for flag in flags
        if flag.positional or flag.default is MISSING
    ]
    return " ".join(["usage:", prog, *needed, "[flags]"])


def _lines(
    prog: str, about: str, flags: Sequence[Flag], everything: bool, width: int
) -> Iterator[str]:
    places = [flag for flag in flags if flag.positional]
    named = [flag for flag in flags if not flag.positional]
    yield from textwrap.wrap(usage(prog, flags), width, subsequent_indent="  ", **_WHOLE_WORDS)
    for paragraph in re.split(r"\n\s*\n", about.strip()):
        yield ""
        yield from _wrapped(" ".join(paragraph.split()), width)
    if places:
        yield from _section("arguments", places, width)
    if len(named) <= _SHORT_LIST or not any(flag.section for flag in named):
        yield from _section("flags", named, width)
        return
    hidden: list[Flag] = []
    for group in GROUPS:
        first, rest = _of_group(group, named)
        hidden += [] if everything else rest
        yield from _section(group.title, [*first, *(rest if everything else ())], width)
    yield ""
    switch = next((f for f in named if f.is_switch and f.section and f not in hidden), None)
    if switch is not None:
        off = f"--no-{switch.word[2:]} takes back what a file turned on; so for every switch."
        yield from _wrapped(off, width)
    if hidden:
        yield from _wrapped(f"{len(hidden)} more settings, for experts: {prog} {HELP_ALL}", width)


def _of_group(group: Group, flags: Sequence[Flag]) -> tuple[list[Flag], list[Flag]]:
    """Flags of a group: those used first, and the others."""
    by_name = {flag.name: flag for flag in flags}
    elsewhere = {name for g in GROUPS if g is not group for name in (*g.first, *g.more)}
    rest = [
        flag
        for flag in flags
        if flag.name not in (*group.first, *elsewhere)
        and (flag.section in group.sections or flag.name in group.more)
    ]
    return [by_name[name] for name in group.first if name in by_name], rest


def _section(title: str, flags: Sequence[Flag], width: int) -> Iterator[str]:
    if not flags:
        return
    yield ""
    yield f"{title}:"
    for flag in flags:
        lines = _wrapped(_text(flag), width - _COLUMN)
        form = f"  {flag.form}"
        if len(form) > _COLUMN - 2 or not lines:
            yield from textwrap.wrap(form.strip(), width, initial_indent="  ", **_WHOLE_WORDS)
        else:
            yield f"{form:{_COLUMN}}{lines.pop(0)}"
        yield from (" " * _COLUMN + line for line in lines)


def _text(flag: Flag) -> str:
    """What a flag is for, what its items may be, and its default where that tells something."""
    text, said, default = flag.text.partition("Default: ")
    if flag.is_list and flag.choices:
        text = f"{text.strip()} One or more of {', '.join(flag.choices)}. "
    text += said + default
    shown = _shown(flag.default)
    if flag.default is MISSING and not flag.positional:
        text += " Must be given."
    elif shown and not said:
        text += f" Default: {shown}."
    return text.strip()


def _shown(default: Any) -> str:
    """A default in words; nothing where it is no value: off, open or an empty list."""
    if default is MISSING or default is None or default is False or default == ():
        return ""
    return "on" if default is True else str(setting_text(default))


_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, **_WHOLE_WORDS)
