"""torch, transformers and peft, imported in less time and memory than they take by themselves."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# transformers and torch take these where they are installed: the losses of image models want SciPy,
# speculative decoding scikit-learn, compiled GPU kernels Triton. They cost a second and 100 MiB.
_UNUSED = ("scipy", "sklearn", "triton")


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
    with _uncollected():
        try:
            with hidden(unused):
                _import()
        except ImportError:  # something else that is installed cannot do without one of them
            _import()


def _import() -> None:
    importlib.import_module("transformers.models.moonshine.modeling_moonshine")
    importlib.import_module("peft")


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
