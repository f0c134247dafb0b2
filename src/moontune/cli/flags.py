"""Flags of a dataclass, a field each; and words of the command line as their values."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from moontune.config.fields import coerce, hints, known_keys, not_none
from moontune.config.flag_marks import Mark
from moontune.config.other_names import nearest_setting, setting_hint
from moontune.config.presets import PRESETS
from moontune.errors import UserError
from moontune.pipeline.stages import STAGES

T = TypeVar("T")
_METAVARS: dict[Any, str] = {Path: "PATH", int: "N", float: "NUMBER", str: "TEXT"}
# What stands for a field's value where its type says too little.
_NAMED = {
    "config": "FILE",
    "dataset": "ID",
    "dataset_revision": "COMMIT",
    "dataset_split": "PART",
    "files": "FILE",
    "format": "NAME",
    "general_manifest": "FILE",
    "host": "ADDRESS",
    "key_terms": "FILE",
    "domain_text": "FILE",
    "language": "CODE",
    "licence": "NAME",
    "manifest": "FILE",
    "model": "MODEL",
    "model_id": "MODEL",
    "output_dir": "FOLDER",
    "predictions": "RUN|FILE",
    "preset": "|".join(PRESETS),
    "replay_manifest": "FILE",
    "report_file": "FILE",
    "repo": "ORG/NAME",
    "revision": "COMMIT",
    "run_name": "NAME",
    "runs": "RUN",
    "sources": "SOURCE",
    "tune": "SETTING",
}
_TRUTHS = ("true", "false", "yes", "no", "1", "0")
_MANIFEST_ENDINGS = (".jsonl", ".json", ".gz")


@dataclass(frozen=True)
class Flag:
    """A field of a dataclass, or of a section in it, as it is given on the command line."""

    name: str  # the field's
    section: str  # the section's that the field is of; "" for none
    hint: Any  # its type, without marks
    marks: tuple[Any, ...]
    text: str  # its docstring, in one line
    default: Any  # MISSING: it must be given

    @property
    def positional(self) -> bool:
        return Mark.POSITIONAL in self.marks

    @property
    def is_switch(self) -> bool:
        return self.hint is bool

    @property
    def is_list(self) -> bool:
        return get_origin(self._type) is tuple

    @property
    def count(self) -> int | None:
        """How many values it takes; None: any number."""
        if self.is_switch:
            return 0
        options = get_args(self._type)
        if not self.is_list:
            return 1
        return None if Ellipsis in options else len(options)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it, or an item of its list, is one of; none where it may be anything."""
        item = self._item
        return get_args(item) if get_origin(item) is Literal else ()

    @property
    def metavar(self) -> str:
        """What stands for a value: FILE, N, auto|cuda|mps|cpu."""
        if self.name in _NAMED:
            return _NAMED[self.name]
        if self.positional:
            return self.name.upper()
        if self.choices:
            return "NAME" if self.is_list else "|".join(self.choices)
        options = get_args(self._item) or (self._item,)
        words = [_METAVARS.get(o) or "|".join(map(str, get_args(o))) for o in options]
        return "|".join(words)

    @property
    def word(self) -> str:
        """`--max-steps`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def form(self) -> str:
        """`--manifest FILE...`, `--resume`, `RUN RUN`."""
        if self.is_switch:
            return self.word.replace("--", "--[no-]", 1) if self.default is True else self.word
        several = "..." if self.count is None and Mark.ONE_EACH not in self.marks else ""
        values = " ".join([self.metavar] * (self.count or 1)) + several
        return values if self.positional else f"{self.word} {values}"

    def value(self, words: Sequence[str]) -> Any:
        """Raises UserError for words that are no values of this type."""
        if not all(word.strip() for word in words):  # "$NAME" of a name that is not set
            named = self.metavar if self.positional else self.word
            raise UserError(f"{named}: its value is empty; give one, or leave it out")
        wanted = self._type
        given: Any = words if self.is_list else words[0]
        if self.is_list and self.count is not None:
            wanted = tuple[get_args(wanted)[0], ...]
        if self.hint is not wanted and given == "None" and wanted in (int, float):
            return None  # left open again, whatever a preset or a file says
        try:
            return coerce(wanted, given)
        except (OverflowError, TypeError, ValueError) as error:
            shown = self._wrong(words) or " ".join(words)
            raise UserError(
                f"{self.metavar if self.positional else self.word} {shown}: {error}"
            ) from None

    def _wrong(self, words: Sequence[str]) -> str | None:
        """The first word of a list that is no item of it; None where it is something else."""
        for word in words if self.is_list else ():
            try:
                coerce(self._item, word)
            except (OverflowError, TypeError, ValueError):
                return word
        return None

    @property
    def _type(self) -> Any:
        return not_none(self.hint) if type(None) in get_args(self.hint) else self.hint

    @property
    def _item(self) -> Any:
        return get_args(self._type)[0] if self.is_list else self._type


def flags_of(cls: type, default: Any = None) -> list[Flag]:
    """Positionals first, then flags in the order of the fields, those of sections flattened.

    `default` is an instance whose values are the defaults; else they are the fields' own.
    """
    flags = [*_flags(cls, default, "")]
    return sorted(flags, key=lambda flag: not flag.positional)


def _flags(cls: type, instance: Any, section: str) -> Iterator[Flag]:
    texts = _docstrings(cls)
    for f, hint in hints(cls):
        marks = getattr(hint, "__metadata__", ())
        kind = get_args(hint)[0] if marks else hint
        default = getattr(instance, f.name) if instance is not None else _default(f)
        if dataclasses.is_dataclass(kind):
            assert isinstance(kind, type)
            missing = default is dataclasses.MISSING
            yield from _flags(kind, None if missing else default, f.name)
        else:
            yield Flag(f.name, section, kind, marks, texts.get(f.name, ""), default)


def _default(f: dataclasses.Field[Any]) -> Any:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return f.default


def _docstrings(cls: type) -> dict[str, str]:
    """The string below each field, by the field's name, of the class and those it extends."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts |= _docstrings_in(base.__module__).get(base.__name__, {})
    return texts


@functools.cache
def _docstrings_in(module: str) -> dict[str, dict[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):  # built in, or installed without its source
        return {}
    return {c.name: dict(_documented(c)) for c in tree.body if isinstance(c, ast.ClassDef)}


def _documented(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for item, below in zip(cls.body, cls.body[1:], strict=False):
        if not (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield item.target.id, " ".join(str(below.value.value).split())


@dataclass
class _Given:
    """A flag where it stands on the command line, with the words that follow it."""

    flag: Flag
    spelt: str
    words: list[str] = field(default_factory=list)


def read_words(flags: Sequence[Flag], words: Sequence[str]) -> dict[str, Any]:
    """The values that are given, by the field's name; lists that are given twice are joined.

    Raises UserError, with the nearest flag for an unknown one.
    """
    places, loose = _places(flags, words)
    values: dict[str, Any] = {}
    for flag in flags:
        if found := [place for place in places if place.flag is flag]:
            values[flag.name] = _value_of(flag, found)
    return values | _positionals(flags, loose)


def _places(flags: Sequence[Flag], words: Sequence[str]) -> tuple[list[_Given], list[str]]:
    """Flags with their words, and the words that are of no flag."""
    by_name = {flag.name: flag for flag in flags if not flag.positional}
    places: list[_Given] = []
    loose: list[str] = []
    room: float = 0  # words that the last flag still takes
    rest = iter(words)
    for word in rest:
        if word == "--":
            return places, [*loose, *rest]
        if _is_flag(word):
            place = _place(word, by_name)
            places.append(place)
            count = 1.0 if Mark.ONE_EACH in place.flag.marks else place.flag.count
            room = 0 if "=" in word else float("inf") if count is None else count
        elif room:
            places[-1].words.append(word)
            room -= 1
        elif (
            places and places[-1].flag.is_switch and word.lower() in ("true", "false", "yes", "no")
        ):
            raise UserError(f"{places[-1].spelt} takes no value; take out {word!r}")
        else:
            loose.append(word)
    return places, loose


def _is_flag(word: str) -> bool:
    """Whether a word begins a flag: a negative number does not, nor does - for standard input."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


def _place(word: str, by_name: dict[str, Flag]) -> _Given:
    spelt, assigned, value = word.partition("=")
    name = spelt[2:].replace("-", "_")
    flag = by_name.get(name) if spelt.startswith("--") else None
    if flag is None and spelt.startswith("--no-"):
        flag = by_name.get(name.removeprefix("no_"))
        flag = flag if flag is not None and flag.is_switch else None
    if flag is None:
        near = nearest_setting(spelt, by_name)
        hint = f"; {setting_hint(spelt, by_name[near].word)}" if near else ""
        if not near and name in known_keys():
            of_stage = set(by_name) <= {"overwrite", *known_keys()} and "run_name" not in by_name
            hint = _set_elsewhere(spelt, known_keys()[name][0], of_stage=of_stage)
        if os.path.lexists(word):
            hint = f"; to name the file, write ./{word}"
        raise UserError(f"unknown flag {spelt}{hint}")
    if flag.is_switch and assigned:
        raise UserError(f"{spelt} takes no value; take out ={value}")
    return _Given(flag, spelt, [value] if assigned else [])


def _set_elsewhere(spelt: str, section: str, *, of_stage: bool) -> str:
    """Which verb takes a setting of that section of the configuration: for the verb of a stage
    another stage, where one does."""
    for stage in STAGES if of_stage else ():
        if section in stage.sections and section != "device":
            return f" here; give it to another stage: moontune {stage.name} RUN {spelt} ..."
    return f" here; it is a setting of a new run, as in moontune run {spelt}"


def _value_of(flag: Flag, places: list[_Given]) -> Any:
    if len(places) > 1 and not flag.is_list:
        values = " and ".join(place.words[0] if place.words else "" for place in places)
        given = f", as {values}" if values.strip() != "and" and not flag.is_switch else ""
        spelt = " and ".join(dict.fromkeys(place.spelt for place in places))
        raise UserError(f"{spelt}: given twice{given}; give it once")
    if flag.is_switch:
        return not places[0].spelt.startswith("--no-") or flag.name.startswith("no_")
    empty = flag.is_list and isinstance(flag.default, tuple) and flag.count is None
    for place in places:
        if not place.words and not (empty and Mark.ONE_EACH not in flag.marks):
            raise UserError(f"{place.spelt} needs a value: {flag.form}")
    return flag.value([word for place in places for word in place.words])


def _positionals(flags: Sequence[Flag], words: list[str]) -> dict[str, Any]:
    """What is given by its place; a list takes all that others leave."""
    values: dict[str, Any] = {}
    rest = list(words)
    for flag in (flag for flag in flags if flag.positional):
        count = len(rest) if flag.count is None else flag.count
        taken, rest = rest[:count], rest[count:]
        if taken and len(taken) == count:
            values[flag.name] = flag.value(taken)
        elif taken:
            raise UserError(f"{flag.form}: {count} are needed, and {len(taken)} is given")
    if rest:
        known = {flag.name for flag in flags}
        manifest = "manifest" in known and rest[0].lower().endswith(_MANIFEST_ENDINGS)
        hint = f"did you mean --manifest {rest[0]}?" if manifest else "take it out"
        raise UserError(f"unexpected {rest[0]!r}; {hint}")
    return values


def missing(flags: Sequence[Flag], given: Collection[str]) -> list[Flag]:
    """Those of the flags that must be given and are not."""
    return [f for f in flags if f.default is dataclasses.MISSING and f.name not in given]


def built(cls: type[T], values: dict[str, Any], default: T | None = None) -> T:
    """The dataclass of the values, and of defaults where none is given."""
    arguments: dict[str, Any] = {}
    for f, hint in hints(cls):
        kind = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
        usual = _default(f) if default is None else getattr(default, f.name)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):  # may be called as a flag is
            section = None if usual is dataclasses.MISSING else usual
            arguments[f.name] = built(kind, values, section)
        else:
            arguments[f.name] = values.get(f.name, usual)
    return cls(**arguments)
