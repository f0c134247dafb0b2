from __future__ import annotations

import warnings

import pytest
import torch

from moontune.errors import UserError
from moontune.system.device import choose_device, missing_operator, watch_fallbacks

FALLBACK = (
    "The operator 'aten::_linalg_svd.U' is not currently supported on the MPS backend and will "
    "fall back to run on the CPU. This may have performance implications. (Triggered internally "
    "at /x/MPSFallback.mm:13.)"
)


def test_reported_fallbacks_are_collected_and_other_warnings_pass(recwarn) -> None:
    with watch_fallbacks() as watch:
        warnings.warn(FALLBACK, UserWarning, stacklevel=1)
        warnings.warn(FALLBACK, UserWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert dict(watch.operators) == {"aten::_linalg_svd.U": 2}
    assert [str(w.message) for w in recwarn] == ["something else"]


def test_missing_operator_is_named() -> None:
    error = NotImplementedError(
        "The operator 'aten::foo' is not currently implemented for the MPS device. If you want ..."
    )
    assert missing_operator(error) == "aten::foo"
    assert missing_operator(NotImplementedError("else")) is None


def test_choice_has_a_reason(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto").name == "cpu"
    assert "no CUDA" in choose_device("auto").reason
    for wanted in ("cuda", "mps"):
        with pytest.raises(UserError, match="--device auto or cpu"):
            choose_device(wanted)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").name == "mps"
    assert choose_device("mps").dtype == "float32"
