"""torch, transformers and peft, imported in less time and memory than they take by themselves."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import ModuleType
from typing import Any

# transformers and torch take these where they are installed: the losses of image models want SciPy,
# speculative decoding scikit-learn, compiled GPU kernels Triton. They cost a second and 100 MiB.
_UNUSED = ("scipy", "sklearn", "triton")
# PyTorch's compiler, which transformers, meta tensors and torch's optimizers load to mark functions
# for it. What they call does nothing to a function, or nothing at all, while nothing is compiled.
_COMPILER = "torch._dynamo"
_MARKS = ("disable", "allow_in_graph", "assume_constant_result")
_NOTHINGS = ("graph_break",)
_PARTS = ("_trace_wrapped_higher_order_op",)  # without which transformers makes no masks


def quiet_libraries() -> None:
    """Libraries announcing their own future changes, or forks, are no news to the user."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning)


def import_torch() -> Any:
    if "torch" in sys.modules:
        return sys.modules["torch"]
    with _uncollected():
        return importlib.import_module("torch")


def import_transformers() -> None:
    """Import what every command that loads a model needs. On a GPU's machine Triton stays.

    transformers remembers what it found missing: in this process its models for images will say
    that SciPy is not installed. `import scipy` works.
    """
    if "transformers" in sys.modules:
        return
    torch = import_torch()
    unused = [name for name in _UNUSED if name != "triton" or not torch.cuda.is_available()]
    defer_compiler()
    with _uncollected():
        try:
            with hidden(unused):
                _import()
        except ImportError:  # something else that is installed cannot do without one of them
            _import()


def _import() -> None:
    importlib.import_module("transformers.models.moonshine.modeling_moonshine")
    importlib.import_module("peft")


class _Deferred(ModuleType):
    """A package that begins to run once something is used of it that is not `known`, or a module of
    it that is none of `parts`."""

    def __init__(self, name: str, known: dict[str, Any], parts: Iterable[str]) -> None:
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        self.__spec__, self.__loader__, self.__file__ = spec, spec.loader, spec.origin
        self.__package__ = name
        self._places, self._load = spec.submodule_search_locations or [], spec.loader.exec_module
        self._begun, self._lock = False, threading.RLock()
        self.__dict__.update(known)
        sys.modules[name] = self
        self.__path__ = self._places
        for part in parts:
            with suppress(ImportError):  # of an older or a newer release
                importlib.import_module(f"{name}.{part}")
        if not self._begun:
            del self.__path__  # which an import of another asks for

    def __getattr__(self, name: str) -> Any:
        # what is asked of all modules that are there tells nothing
        if not name.startswith("__") or name in ("__all__", "__path__"):
            with self._lock:  # others wait until it is there whole
                if not self._begun:
                    self._begun, self.__path__ = True, self._places
                    self._load(self)
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def defer_compiler() -> None:
    """Let PyTorch's compiler load once something is to be compiled, unless it is there: it takes
    0.4 s and 35 MiB (docs/performance.md)."""
    torch = import_torch()
    if _COMPILER in sys.modules or importlib.util.find_spec(_COMPILER) is None:
        return
    known: dict[str, Any] = dict.fromkeys(_MARKS, _as_it_is)
    known |= dict.fromkeys(_NOTHINGS, lambda *args, **more: None)
    torch._dynamo = _Deferred(_COMPILER, known, _PARTS)


class _AsItIs(nullcontext[None]):
    """A decorator without effect, or a block of that kind."""

    def __call__(self, fn: Any) -> Any:
        return fn


def _as_it_is(fn: Any = None, *args: Any, **more: Any) -> Any:
    """What marks a function for the compiler, or makes such a decorator."""
    return _AsItIs() if fn is None else fn


@contextmanager
def hidden(names: Iterable[str]) -> Iterator[None]:
    """Libraries that are not loaded yet look as if they were not installed, within the block."""
    absent = [name for name in names if name not in sys.modules]
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]
    for name in absent:
        modules[name] = None
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection within the block: a sixth of an import's time goes into looking through
    the objects of modules, none of which ever go. Nor are they looked through later."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
