"""Every benchmark runs, small: on a random model and a few clips, in place of `../shared`."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import SENTENCES, SHARED, noise

from moontune.data.audio import write_flac

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r"^\| `(benchmarks[./]\S+?)(?: .*?)?`", re.MULTILINE)
SETS = ("accented_english", "adventure_game")
# Those that come after another's files are listed after it; CV is a cross-validation of the sets.
SMALL: dict[str, str] = {
    "benchmarks.speed.run": "--rounds 1 --clips 2 --train-clips 8 --epochs 1 --decoder-epochs 1"
    " --peer-updates 1 --dtypes float32",
    "benchmarks.speed.profile_update": "--updates 1 --skip 1",
    "benchmarks.speed.streaming": "--updates 1 --turns 1",
    "benchmarks.speed.waiting": "--rounds 1 --seconds 0.1 --dtypes float32 --beside nothing,itself",
    "benchmarks.speed.machine": "",
    "benchmarks.limits.run": "--rounds 1 --updates 1 --clips 2 --minutes 0.1 --dtypes float32"
    " --model-id REAL --manifest FEW",
    "benchmarks.vendor.run": "--python VENDOR --updates 2 --clips 8 --batch 4 --rounds 1",
    "benchmarks.speed.recordings": "--python VENDOR --minutes 0.1 --rounds 1",
    "benchmarks/on_gpu.sh": "",
    "benchmarks.rows": "--rows 100 --utterances 20",
    "benchmarks.scale": "--hours 0.01 --updates 1",
    "benchmarks.study.study": "STUDY --settings default clips=12,max_steps=2",
    "benchmarks.study.curve": "STUDY",
    "benchmarks.study.forgetting": "STUDY",
    "benchmarks.study.transcript_styles": "STUDY --styles clean emphasis --labels",
    "benchmarks.study.wrong_transcripts": "STUDY --shares 0.2",
    "benchmarks.study.unlabelled": "CV STUDY",
    "benchmarks.study.seeds": "CV STUDY --seeds 43",
    "benchmarks.study.few_clips": "CV STUDY/few --clips 4 --folds 1",
    "benchmarks.study.spoken_terms": "CV STUDY/spoken --terms 2 --protect-encoder",
    "benchmarks.study.word_errors": "CV/fold-1 --updates 1 --by samples",
    "benchmarks.study.bets": "CV/fold-1 --bet early --max-steps 1 --output STUDY/bet.jsonl",
    "benchmarks.decoding.batching": "--limit 4 --batch-size 2",
    "benchmarks.decoding.token_cap": "--limit 4",
    "benchmarks.decoding.word_times": "--recordings 2 --model-id REAL --manifest FEW",
    "benchmarks.decoding.consensus": "LISTS CV",
    "benchmarks.decoding.thorough": "LISTS CV",
    "benchmarks.decoding.domain_text": "LISTS CV --thorough",
    "benchmarks.decoding.ensemble": "LISTS STUDY CV --seeds 43",
    "benchmarks.decoding.peers": "LISTS/cv CV/peer.jsonl",
    "benchmarks.decoding.confidence": "LISTS CV",
    "benchmarks.decoding.caption_cuts": "--clips 6 --wrong-s 0.0",
    "benchmarks.decoding.draft_order": "LISTS CV",
    "benchmarks.decoding.key_terms": "CV --terms 4 --bonuses 1.0 --unsaid 10",
    "benchmarks.decoding.biased_beams": "CV --terms 4 --bonuses 1.0",
    "benchmarks.decoding.review_order": "--clips 12 --seeds 1",
    "benchmarks.decoding.script_alignment": "--clips 8",
    "benchmarks.decoding.long_audio": "--minutes 0.2 --pauses-s 0.5 --targets-s 8.0"
    " --model-id REAL --manifest FEW",
    "benchmarks.decoding.loops": "--limit 6 --joined-s 3",
    "benchmarks.statistics.take_warnings": "",
    "benchmarks.statistics.interval_coverage": "--repeats 2",
    "benchmarks.export.table": "MANIFEST --every 12",
    "benchmarks.export.browser": "",
}
# What each needs that is not here; whoever has it runs it by hand.
LACKING = {
    "benchmarks/on_gpu.sh": "its checks are those of tests, the contest and a run",
    "benchmarks.export.browser": "onnxruntime-web's package",
}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory, tiny_model: Path) -> Path:
    """A folder as `../shared`, and beside it what benchmarks make of it."""
    folder = tmp_path_factory.mktemp("benchmarks")
    shutil.copytree(tiny_model, folder / "models/moonshine-tiny")
    for number, name in enumerate(SETS):
        place = folder / "data" / name
        rows = []
        for i in range(24):
            seconds = 1.0 + 0.03 * i
            file = place / "audio" / f"{name}_{i}.flac"
            write_flac(file, noise(24 * number + i, seconds))
            text = f"{SENTENCES[i % 8].capitalize()} {i // 8 + 2} times."
            row = {"audio_filepath": f"audio/{file.name}", "text": text, "duration": seconds}
            rows.append(row | {"speaker": f"{name}-{i % 6}"})
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (place / "manifest.jsonl").write_text(lines, encoding="utf-8")
    return folder


def run(stand_in: Path, words: list[str]) -> str:
    env = os.environ | {
        "MOONTUNE_SHARED": str(stand_in),
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def crossval(stand_in: Path) -> Path:
    words = [sys.executable, "-m", "moontune", "crossval", "--folds", "3", "--run-name", "cv"]
    words += ["--manifest", str(stand_in / "data/accented_english/manifest.jsonl")]
    words += ["--model-id", str(stand_in / "models/moonshine-tiny"), "--max-steps", "2"]
    words += ["--general-manifest", str(stand_in / "data/adventure_game/manifest.jsonl")]
    words += ["--output-dir", str(stand_in / "outputs"), "--device", "cpu"]
    run(stand_in, words)
    folder = stand_in / "outputs/cv"
    peer = [file.read_text() for file in sorted(folder.glob("fold-*/predictions_base.jsonl"))]
    (folder / "peer.jsonl").write_text("".join(peer))
    return folder


def few_real_clips(folder: Path) -> Path:
    """A manifest of a few shared recordings; skips where the shared folder is missing."""
    source = SHARED / "data/adventure_game/manifest.jsonl"
    if not source.is_file():
        pytest.skip(f"no shared recordings at {source}")
    rows = [json.loads(line) for line in source.read_text().splitlines()[::20]]
    for row in rows:
        row["audio_filepath"] = str(source.parent / row["audio_filepath"])
    file = folder / "few.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def listed() -> list[str]:
    return ENTRY.findall((ROOT / "benchmarks/README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("task", "change", "says"),
    [
        ("train", {}, None),
        ("train", {"losses": [3.001, 1.0]}, None),  # rounding, and later updates are judged apart
        ("train", {"losses": [3.1, 2.0]}, "losses of 3.0000 and 3.1000"),
        ("train", {"losses": [float("nan"), 2.0]}, "losses of"),
        ("train", {"losses": []}, "no losses"),
        ("train", {"adapted": 11}, "adapted 10 and 11"),
        ("train", {"threads": 2}, "threads 1 and 2"),
        ("evaluate", {"losses": [3.0, 2.015]}, None),  # of two tokens
        ("evaluate", {"losses": [3.0, 2.1]}, "losses of 2.0000 and 2.1000"),
    ],
)
def test_a_contest_of_two_that_do_not_do_the_same_ends_with_an_error(
    monkeypatch, task: str, change: dict, says: str | None
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.speed.contest import refuse_other_work

    peer = {"adapted": 10, "threads": 1, "losses": [3.0, 2.0], "targets": [1, 2]}
    if says is None:
        return refuse_other_work(task, peer, peer | change)
    with pytest.raises(SystemExit, match=says):
        refuse_other_work(task, peer, peer | change)


def test_a_ledger_counts_every_second_once_and_products_by_their_sizes(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    import torch

    from benchmarks.limits.ledger import REST, CountFlops, Ledger, mean

    ticks = itertools.count()
    monkeypatch.setattr("benchmarks.limits.ledger.time.process_time", lambda: float(next(ticks)))
    ledger, one, other = Ledger(), ("model", "one"), ("model", "other")
    rows, weight = torch.randn(5, 3, requires_grad=True), torch.randn(3, 7)
    low, high = torch.randn(5, 2), torch.randn(2, 7)

    def layer(x: torch.Tensor) -> torch.Tensor:
        with ledger.inside(other):
            beside = (low @ high).to(torch.bfloat16)
            beside.addmm_(low.bfloat16(), high.bfloat16())
        return x @ weight + beside.float()

    with CountFlops(ledger):
        ledger.wrapped(layer, lambda x: one)(rows).sum().backward()
    found = ledger.take()
    assert found.flops == {
        (one, torch.float32): 2 * (2 * 5 * 3 * 7),  # there and back
        (other, torch.float32): 2 * 5 * 2 * 7,
        (other, torch.bfloat16): 2 * 5 * 2 * 7,
    }
    assert found.seconds[other] == 1
    assert found.seconds[one] > 2  # before, behind, and on the way back
    assert found.whole_s == sum(found.seconds[part] for part in (REST, one, other))
    assert found.limits_s({torch.float32: 70.0, torch.bfloat16: 140.0}) == {one: 6.0, other: 3.0}
    assert mean([found, found], [found]) == found
    assert not ledger.take().flops


def test_a_product_that_the_ledger_has_no_formula_for_is_refused(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    import torch

    from benchmarks.limits.ledger import CountFlops, Ledger

    with pytest.raises(NotImplementedError, match=r"aten.mv"), CountFlops(Ledger()):
        torch.mv(torch.randn(2, 3), torch.randn(3))


@pytest.mark.parametrize(
    ("kind", "inputs", "out", "flops"),
    [
        ("MatMul", [[1, 5, 3]], [1, 5, 7], 2 * 5 * 3 * 7),  # by a constant, which is not told
        ("FusedMatMul", [[1, 8, 5, 36], [1, 8, 36, 4]], [1, 8, 5, 4], 2 * 8 * 5 * 36 * 4),
        ("FusedConv", [[1, 2, 20], [3, 2, 7], [3]], [1, 3, 14], 2 * 3 * 14 * 2 * 7),
        ("Add", [[1, 5, 3]], [1, 5, 3], 0),
    ],
)
def test_products_of_graphs_are_counted_by_their_shapes(
    monkeypatch, kind: str, inputs: list, out: list[int], flops: int
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.limits.graphs import flops_of

    shapes = {"input_type_shape": [{"float": shape} for shape in inputs]}
    assert flops_of({"op_name": kind, **shapes, "output_type_shape": [{"float": out}]}) == flops


def test_every_benchmark_that_is_listed_is_run_small() -> None:
    assert sorted(listed()) == sorted(SMALL)
    modules = {p for p in (ROOT / "benchmarks").rglob("*.py") if "tyro.cli(Args" in p.read_text()}
    named = {".".join(p.relative_to(ROOT).with_suffix("").parts) for p in modules}
    assert named <= set(SMALL), "not in benchmarks/README.md"


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_runs(name: str, stand_in: Path, request: pytest.FixtureRequest) -> None:
    if name in LACKING:
        pytest.skip(LACKING[name])
    places = {
        "STUDY": str(stand_in / "study"),
        "LISTS": str(stand_in / "lists"),
        "MANIFEST": str(stand_in / "data/accented_english/manifest.jsonl"),
        "VENDOR": os.environ.get("VENDORS_PYTHON", ""),
    }
    words = SMALL[name].split()
    if "VENDOR" in words and not places["VENDOR"]:
        pytest.skip("VENDORS_PYTHON names no environment with the vendor's tuner")
    if "REAL" in words:
        places["FEW"] = str(few_real_clips(stand_in))
        places["REAL"] = str(SHARED / "models/moonshine-tiny")
    if any(word.startswith("CV") for word in words):
        places["CV"] = str(request.getfixturevalue("crossval"))
    for key, place in places.items():
        words = [re.sub(rf"^{key}(?=/|$)", place, word) for word in words]
    assert run(stand_in, [sys.executable, "-m", name, *words]).strip()
