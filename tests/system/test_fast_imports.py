"""Imports and memory: what is left out is not missed."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys

import pytest
import torch

from moontune.system.fast_imports import hidden
from moontune.system.memory import lay_aside

LEAN = """
import gc, sys
from moontune.system.fast_imports import import_transformers
import_transformers()
loaded = sorted({"scipy", "sklearn", "triton"} & set(sys.modules))
from transformers import MoonshineForConditionalGeneration
import peft, scipy
print(loaded, gc.isenabled(), sys.modules["scipy"] is scipy)
"""


def test_transformers_come_without_libraries_of_other_models_which_can_be_had_later():
    done = subprocess.run([sys.executable, "-c", LEAN], capture_output=True, text=True, check=True)
    without = "['triton'] True True" if torch.cuda.is_available() else ""
    assert done.stdout.strip() in ("[] True True", without), done.stderr


UNCOMPILED = """
import sys
from moontune.system.fast_imports import import_transformers
import_transformers()
import torch
from moontune.config.schema import LoraConfig
from moontune.models.adapter import attach_lora
from moontune.models.base_model import load_base
base = load_base(sys.argv[1], None, "cpu")
with torch.no_grad():
    base.net.generate(torch.zeros(1, 16_000), max_new_tokens=2)
model = attach_lora(base, LoraConfig(), 1)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
for p in optimizer.param_groups[0]["params"]:
    p.grad = torch.ones_like(p)
optimizer.step()
optimizer.zero_grad()
def is_loaded():
    return "torch._dynamo.convert_frame" in sys.modules
print(is_loaded())
with torch._dynamo.disable():  # a block, and a decorator that is made first
    doubled = torch.compiler.disable(recursive=False)(lambda x: 2 * x)
print(is_loaded(), doubled(3), hasattr(torch._dynamo, "__wrapped__"))
seen = []
def backend(graph, inputs):
    seen.append(graph)
    return graph.forward
print(torch.compile(lambda x: x + 1, backend=backend)(torch.ones(2)).tolist(), len(seen))
print(is_loaded(), torch._dynamo.disable.__module__, hasattr(torch._dynamo, "no such thing"))
"""


def test_the_compiler_comes_once_something_is_compiled(tiny_model):
    code = [sys.executable, "-c", UNCOMPILED, str(tiny_model)]
    done = subprocess.run(code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "False",
        "False 6 False",
        "[2.0, 2.0] 1",
        "True torch._dynamo.decorators False",
    ]


def test_what_is_loaded_already_is_not_hidden():
    with hidden(["json", "moontune_is_not_one"]):
        import json

        assert json.loads("1") == 1
        with pytest.raises(ImportError):
            import moontune_is_not_one  # type: ignore  # noqa: F401
    assert "moontune_is_not_one" not in sys.modules


def resident_kib(address: int) -> int:
    """Of the mapping that holds an address."""
    inside = False
    with open("/proc/self/smaps") as lines:
        for line in lines:
            head = line.split()[0]
            if "-" in head and not head.endswith(":"):
                start, end = (int(part, 16) for part in head.split("-"))
                inside = start <= address < end
            elif inside and head == "Rss:":
                return int(line.split()[1])
    raise AssertionError("no such mapping")


def can_page_out() -> bool:
    """Whether the system takes MADV_PAGEOUT at all (Linux since 5.4)."""
    if sys.platform != "linux":
        return False
    page = mmap.mmap(-1, mmap.PAGESIZE)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CDLL(None).madvise(ctypes.c_void_p(at), ctypes.c_size_t(len(page)), 21) == 0


@pytest.mark.skipif(not can_page_out(), reason="the system cannot take pages out of memory")
def test_weights_laid_aside_leave_memory_and_are_the_same_when_read_again(tmp_path):
    file = tmp_path / "weights"
    with open(file, "wb") as stream:
        torch.arange(2**20, dtype=torch.float32).numpy().tofile(stream)
        stream.flush()
        os.fsync(stream.fileno())
    weights = torch.from_file(str(file), size=2**20)
    own = torch.arange(2**20, dtype=torch.float32)  # in no file
    total = weights.sum()
    before = resident_kib(weights.data_ptr())
    lay_aside([weights, own, torch.ones(3)])
    assert resident_kib(weights.data_ptr()) < before / 4
    assert torch.equal(weights.sum(), total)
    assert torch.equal(own, weights)
