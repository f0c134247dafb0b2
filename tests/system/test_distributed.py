"""Two processes give what one gives, and end together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fork_pairs
import parallel_worker
import pytest
import torch
from builders import flags

from moontune.cli.dispatch import main
from moontune.errors import UserError
from moontune.system.distributed import SINGLE, ProcessGroup, init_from_launcher, lone_environment

BIN = Path(sys.executable).parent


def environment() -> dict[str, str]:
    return lone_environment() | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Pairs:
    """The process that pairs of processes are forked from."""

    process: subprocess.Popen[str]

    def __call__(self, program: str | Path, *words: str) -> list[tuple[int, str]]:
        """Two processes of a Python program as one group: exit code and stderr of each."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job = {"program": str(program), "words": words}
        print(json.dumps(job), file=self.process.stdin, flush=True)
        return [(code, said) for code, said in json.loads(self.process.stdout.readline())]


@pytest.fixture(scope="module")
def two_of() -> Iterator[Pairs]:
    given: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    words = [sys.executable, fork_pairs.__file__]
    with subprocess.Popen(words, env=environment(), **given) as process:
        yield Pairs(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def pair(two_of, tmp_path_factory, tiny_model, noise_manifest) -> list[dict]:
    """What each of two processes found."""
    output = tmp_path_factory.mktemp("pair") / "found"
    done = two_of(parallel_worker.__file__, str(tiny_model), str(noise_manifest), str(output))
    assert [code for code, _ in done] == [0, 0], done
    return [torch.load(f"{output}.{rank}", weights_only=False) for rank in range(2)]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As the launched processes have it: a sum's rounding depends on the threads it is cut into."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def solo(tiny_model, noise_manifest, one_thread) -> dict:
    return parallel_worker.everything(str(tiny_model), noise_manifest)


def curve(found: dict, key: str) -> list:
    return [e[key] for e in found["log"] if key in e]


@pytest.mark.parametrize("case", parallel_worker.CASES)
def test_two_processes_make_the_updates_of_one(case, pair, solo) -> None:
    alone, lead, other = solo[case], pair[0][case], pair[1][case]
    for key in ("loss", "val_loss", "grad_norm"):
        assert curve(lead, key) == pytest.approx(curve(alone, key), abs=1e-4), key
    for key in ("lr", "tokens", "clips", "skipped"):
        assert curve(lead, key) == curve(alone, key)
    assert other["log"] == []
    for name, weights in alone["adapter"].items():
        torch.testing.assert_close(lead["adapter"][name], weights, atol=1e-5, rtol=0)
        assert torch.equal(other["adapter"][name], lead["adapter"][name])
    for key in ("steps", "best_step", "skipped", "stopped", "utterances_seen"):
        assert lead["result"][key] == other["result"][key] == alone["result"][key]


def test_every_utterance_is_used_once_an_epoch(pair) -> None:
    used = [Counter(found["even"]["used"]) for found in pair]
    epochs = parallel_worker.UPDATES * parallel_worker.CASES["even"] // 12
    assert used[0] + used[1] == {f"c{i}": epochs for i in range(12)}
    assert min(map(len, used)) > 0


def test_an_unusable_clip_is_skipped_by_all_processes_alike(pair) -> None:
    assert pair[0]["unusable"]["result"]["skipped"] == 1
    assert sum(parallel_worker.BROKEN in p["unusable"]["used"] for p in pair) == 1


def test_an_evaluation_is_the_same_to_the_bit(pair, solo) -> None:
    for what in ("evaluation", "backwards"):
        assert pair[0][what] == pair[1][what] == solo[what]
    assert len(solo["backwards"]) == 72


def test_shares_hold_every_item_once_and_cost_about_the_same() -> None:
    costs = [((7 * i) % 11) + 1 for i in range(40)]
    items = list(enumerate(costs))
    shares = [ProcessGroup(rank, 3).shard(items, lambda item: item[1]) for rank in range(3)]
    assert sorted(item for share in shares for item in share) == items
    sums = [sum(cost for _, cost in share) for share in shares]
    assert max(sums) - min(sums) <= 11
    assert SINGLE.shard(items, lambda item: item[1]) == items


def test_without_a_launcher_there_is_one_process_and_no_torch() -> None:
    code = (
        "import sys; from moontune.system.distributed import init_from_launcher\n"
        "sys.exit(init_from_launcher().size != 1 or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment()).returncode == 0


def test_an_incomplete_launch_is_a_mistake(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UserError, match="RANK is not; start with torchrun"):
        init_from_launcher()
    monkeypatch.setenv("RANK", "first")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(UserError, match="RANK is 'first', not a number"):
        init_from_launcher()


@pytest.mark.parametrize(
    ("failure", "lead_says", "other_code"),
    [
        ("raise UserError('x.wav: is gone')", "", 2),
        ("os.kill(os.getpid(), 9)", "moontune: another process of this run has ended", -9),
    ],
)
def test_a_process_that_fails_alone_ends_the_other(
    two_of, tmp_path, failure, lead_says, other_code
) -> None:
    code = (
        "import os, sys\n"
        "from moontune.cli.arguments import user_errors_as_exit_code\n"
        "from moontune.errors import UserError\n"
        "from moontune.system.distributed import init_from_launcher\n"
        "with user_errors_as_exit_code() as outcome:\n"
        "    outcome.group = init_from_launcher()\n"
        f"    if not outcome.group.is_main: {failure}\n"
        "    outcome.group.gather([0])\n"
        "outcome.group.end(outcome.code)"
    )
    (tmp_path / "fails.py").write_text(code)
    (lead, text), (other, told) = two_of(tmp_path / "fails.py")
    assert (lead, other) == (2, other_code), text
    assert text.startswith(lead_says)
    assert text.count("\n") == (1 if lead_says else 0)
    assert told == ("" if lead_says else "moontune: x.wav: is gone\n")


def torchrun(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(str(BIN / "torchrun"), "--standalone", "--nproc-per-node", "2"),
            *("-m", "moontune", *argv),
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=fork_pairs.LIMIT_S,
    )


def test_a_run_under_torchrun_is_one_run(
    tmp_path, monkeypatch, tiny_model, noise_manifest, one_thread
) -> None:
    listed = tmp_path / "terms.txt"
    listed.write_text("wind\nHarbour Bridge\n")
    given = flags(tiny_model, noise_manifest, lora_dropout=0.0, lora_r=8, dtype="float32")
    given += ["--key-terms", str(listed), "--decoding", "consensus", "--domain-text", str(listed)]
    done = torchrun(tmp_path, "run", *given)
    monkeypatch.chdir(tmp_path)
    code = main(["run", *(word if word != "r" else "solo" for word in given)])
    assert sorted(p.name for p in (tmp_path / "outputs").iterdir()) == [
        "r",
        "solo",
        "training_report.md",
    ]
    assert done.stdout.count("[1/10]") == done.stdout.count("[10/10]") == 1
    assert done.stdout.count("run: outputs/r\n") == 1

    def read(run: str, name: str) -> dict:
        return json.loads((tmp_path / "outputs" / run / name).read_text())

    # torchrun ends with 1 whatever its processes' exit code was
    assert (done.returncode == 0) == (code == 0) == read("r", "metrics.json")["accepted"]
    assert read("r", "run.json")["complete"] is True
    assert read("r", "artifact_test.json")["identical_tokens"] is True
    assert (read("r", "train.json")["processes"], read("solo", "train.json")["processes"]) == (2, 1)
    assert read("r", "eval_base.json") == read("solo", "eval_base.json")
    assert read("r", "key_terms_base.json") == read("solo", "key_terms_base.json")
    assert read("r", "metrics.json")["key_terms"]["tuning"]["terms"] == 2
    assert read("r", "domain_text_base.json") == read("solo", "domain_text_base.json")
    tuned, alone = read("r", "eval_tuned.json"), read("solo", "eval_tuned.json")
    for key in ("loss", "loss_words"):
        assert tuned.pop(key) == pytest.approx(alone.pop(key), abs=1e-4)
    for key in ("wer", "cer", "edits", "truncated"):  # of tokens, which may be near a tie
        del tuned[key], alone[key]
    assert tuned == alone


def test_a_mistake_is_told_once_and_ends_both_processes(two_of, tmp_path) -> None:
    code = (
        f"import os, sys; os.chdir({str(tmp_path)!r})\n"
        "from moontune.cli import main\n"
        "sys.exit(main(['run', '--manifest', 'none.jsonl']))"
    )
    (tmp_path / "mistaken.py").write_text(code)
    found = two_of(tmp_path / "mistaken.py")
    assert [code for code, _ in found] == [2, 2]
    said = [line for _, text in found for line in text.splitlines() if line[:8] == "moontune"]
    assert said == ["moontune: none.jsonl: no such manifest; check the path"]
    assert os.listdir(tmp_path) == ["mistaken.py"]
