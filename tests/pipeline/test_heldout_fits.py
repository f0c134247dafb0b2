"""Adapters that judge what they never heard, and when there are none."""

from __future__ import annotations

from typing import Any

import torch

from moontune.data.manifest import read_manifest
from moontune.models.base_model import load_base
from moontune.pipeline import heldout_fits as module
from moontune.pipeline.heldout_fits import heldout_fits
from moontune.training import sampling


def test_no_clip_is_judged_by_an_adapter_that_was_trained_on_it(
    tiny_model, noise_manifest, monkeypatch
) -> None:
    """Nor is an adapter trained on a clip that is in doubt."""
    rows, _ = read_manifest(noise_manifest)
    taught: list[set[str]] = []
    judged: list[set[str]] = []
    whole = module.transcript_fits

    def shuffled(clips: Any, seed: int) -> Any:
        taught.append({u.id for u in clips})
        return sampling.shuffled(clips, seed)

    def fits(base: Any, clips: Any, *more: Any) -> Any:
        judged.append({u.id for u in clips})
        return whole(base, clips, *more)

    monkeypatch.setattr(module, "shuffled", shuffled)
    monkeypatch.setattr(module, "transcript_fits", fits)
    doubted = frozenset({"c0", "c1"})

    def new_base() -> Any:
        return load_base(str(tiny_model), None, "cpu")

    found = heldout_fits(new_base, rows, doubted, seed=1, dtype=torch.float32)
    assert found is not None
    assert len(found) == len(rows) == 24
    assert [not t & j for t, j in zip(taught, judged, strict=True)] == [True, True]
    assert taught[0] | taught[1] == {u.id for u in rows} - doubted
    assert judged[0] | judged[1] == {u.id for u in rows}


def test_with_hardly_any_clip_that_is_not_in_doubt_there_is_no_such_judge(noise_manifest) -> None:
    rows, _ = read_manifest(noise_manifest)
    doubted = frozenset(u.id for u in rows[:12])
    assert heldout_fits(lambda: 1 / 0, rows, doubted, seed=1, dtype=torch.float32) is None  # type: ignore[return-value]
