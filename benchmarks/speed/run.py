"""How fast moontune trains and evaluates, beside what people use, in one run on one machine.

    uv run python -m benchmarks.speed.run
    uv run python -m benchmarks.speed.run --manifest my.jsonl --parts training,evaluation

The peers are Hugging Face's `Seq2SeqTrainer` with peft (`peer_trainer`) and the usual loop over
clips (`peer_evaluate.py`); ours is `ours.py`. Both get the same clips in the same order, the
same start of the adapter and the same settings on the CPU, the peer in float32, each time in a
fresh process, in turns: peer, ours, peer, ours. Audio is decoded beforehand in both.

- training and decoder: updates of 8 clips, adapters in both halves or in the decoder alone. Ours is
  timed whole, over some passes through a few clips, so that what it does once is paid within: 7
  passes, as 500 updates make of 560 clips, and 10. The peer does the same in every pass: it is
  timed over `peer_updates`, after two to warm up.
- evaluation: loss, transcripts and WER of a hundred clips under an adapter that changes them.
- startup: `moontune --help`; from launch to the first update on a prepared run; validation's share.

Ratios are formed within a round, so that what slows the machine down slows both. Shares of the
peak count useful arithmetic only (`machine.py`), the same for both. Prints Markdown.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tyro

from benchmarks.paths import SHARED, default_model
from benchmarks.speed.contest import Contest, Pair, python
from benchmarks.speed.startup import startup
from benchmarks.speed.work import UPDATE, Sites, sentence_case
from moontune.data.manifest import Utterance, read_manifest
from moontune.system.device import training_dtype

WARM_UP = 2  # updates
APART = {"float32": 1e-3, "bfloat16": 0.1}  # nats an update, the peer in float32
PARTS = ("training", "decoder", "evaluation", "startup")


@dataclass(frozen=True)
class Args:
    """How fast moontune trains and evaluates, beside what people use."""

    manifest: Path | None = None
    """JSONL manifest. Default: the shared accented_english; for startup adventure_game."""
    model_id: str = default_model()
    """The base."""
    parts: str = ",".join(PARTS)
    """What to measure, separated by commas."""
    rounds: int = 3
    """Times that each contender runs."""
    peer_updates: int = 16
    """Updates over which the peer is timed."""
    train_clips: int = 64
    """Clips of the training and the decoder part."""
    epochs: int = 7
    """Passes over them with adapters in both halves."""
    decoder_epochs: int = 10
    """Passes over them with adapters in the decoder alone."""
    clips: int = 100
    """Clips of the evaluation part."""
    dtypes: str | None = None
    """Of our matrix products in training, each measured by itself; the peer's is float32. Default:
    float32, and bfloat16 where the processor has units for it."""
    threads: int | None = None
    """Threads of every process. Default: what torch takes."""
    seed: int = 42
    """Seed of the order and of the adapter's start."""


def line(work: str, pairs: list[Pair], rates: list[tuple[float, float]], shares: str) -> str:
    """A row of the table from the clips a second of both in each round."""
    peer, ours = (median(rate) for rate in zip(*rates, strict=True))
    ratios = [b / a for a, b in rates]
    memory = [median(pair[i]["peak_mib"] for pair in pairs) for i in (0, 1)]
    return (
        f"| {work} | {peer:.2f} | {ours:.2f} | {median(ratios):.2f} "
        f"({min(ratios):.2f}-{max(ratios):.2f}) | {memory[0]:.0f} | {memory[1]:.0f} | {shares} |"
    )


def shares(pairs: list[Pair], timed: slice, peak: float) -> str:
    """Share of the machine's peak, of the peer and of ours."""
    reached: tuple[list[float], list[float]] = ([], [])
    for peer, ours in pairs:
        reached[0].append(sum(ours["flops"][timed]) / sum(peer["seconds"][timed]))
        reached[1].append(sum(ours["flops"]) / ours["whole_s"])
    return " | ".join(f"{100 * median(rates) / peak:.0f} %" for rates in reached)


def curves(work: str, pairs: list[Pair], dtype: str) -> str:
    """How far the two losses of an update ever are apart. Further than by rounding, and the two
    contenders do not do the same work: then no ratio means anything."""
    apart = [
        abs(a - b)
        for peer, ours in pairs
        for a, b in zip(peer["losses"], ours["losses"], strict=False)
    ]
    if max(apart) > APART[dtype]:
        raise SystemExit(f"{work}: the contenders' losses are {max(apart):.2g} nats apart")
    weighted = "token-weighted" if pairs[0][0]["token_weighted"] else "NOT token-weighted"
    return (
        f"{work}: loss curves at most {max(apart):.2g} nats apart over "
        f"{len(pairs[0][0]['losses'])} updates (peer's loss: {weighted})"
    )


def training(
    args: Args, contest: Contest, rows: list[Utterance], peak: float, sites: Sites, dtype: str
) -> tuple[str, str]:
    """Ours timed whole, the first pass over the clips with what it keeps included."""
    epoch = min(args.train_clips, len(rows)) // UPDATE
    if not epoch:
        raise SystemExit(f"{len(rows)} clips: training needs at least {UPDATE}")
    few = spread(rows, epoch * UPDATE)
    epochs = {"both": args.epochs, "decoder": args.decoder_epochs}[sites]
    peer = {"sites": sites, "updates": WARM_UP + args.peer_updates}
    ours = {"sites": sites, "updates": epochs * epoch, "dtype": dtype}
    pairs = contest.run("train", few, peer, ours)
    timed = slice(WARM_UP, WARM_UP + args.peer_updates)
    rates = [
        (args.peer_updates * UPDATE / sum(p["seconds"][timed]), o["utterances"] / o["whole_s"])
        for p, o in pairs
    ]
    halves = {"both": "both halves", "decoder": "decoder"}[sites]
    work = f"training, {halves}, {epochs} epochs of {len(few)}, {dtype}"
    return line(work, pairs, rates, shares(pairs, timed, peak)), curves(work, pairs, dtype)


def evaluation(args: Args, contest: Contest, rows: list[Utterance]) -> tuple[str, str]:
    pairs = contest.run("evaluate", spread(rows, args.clips), {}, {})
    rates = [(p["utterances"] / p["seconds"], o["utterances"] / o["seconds"]) for p, o in pairs]
    peer, ours = pairs[-1]
    other = sum(a != b for a, b in zip(peer["tokens"], ours["tokens"], strict=True))
    clips = zip(peer["losses"], ours["losses"], ours["targets"], strict=True)
    furthest = max(abs(a - b) / n for a, b, n in clips)
    means = [sum(answer["losses"]) / sum(answer["targets"]) for answer in (peer, ours)]
    wer = [f"{100 * answer['wer']:.2f} %" for answer in (peer, ours)]
    remark = (
        f"evaluation: {other} of {len(peer['tokens'])} transcripts differ in token ids; loss per "
        f"token {means[0]:.6f} and {means[1]:.6f} ({abs(means[0] - means[1]):.1g} apart, furthest "
        f"clip {furthest:.1g}); WER {wer[0]} and {wer[1]}"
    )
    return line(f"evaluation, {peer['utterances']} clips", pairs, rates, "- | -"), remark


def launching(args: Args, contest: Contest) -> str:
    """What the startup part found, as a remark."""
    manifest = args.manifest or SHARED / "data" / "adventure_game" / "manifest.jsonl"
    s = startup(
        manifest, contest.model, contest.folder, contest.env, args.rounds, args.peer_updates
    )
    return (
        f"startup, {manifest.parent.name}: --help {s.help_s:.2f} s; first update "
        f"{s.first_update_s:.1f} s after `moontune train`, of which {s.validation_s:.1f} s are the "
        f"first validation; {s.update_s:.2f} s an update, so validation takes "
        f"{100 * s.validation_share:.0f} % of a run with the default settings"
    )


def spread(rows: list[Utterance], count: int) -> list[Utterance]:
    """At most so many rows, evenly spaced."""
    return rows[:: max(1, len(rows) // count)][:count]


def main(args: Args) -> None:
    asked = args.parts.split(",")
    if unknown := set(asked) - set(PARTS):
        raise SystemExit(f"--parts {','.join(unknown)}: no such part; give {', '.join(PARTS)}")
    manifest = args.manifest or SHARED / "data" / "accented_english" / "manifest.jsonl"
    if not manifest.is_file():
        raise SystemExit(f"{manifest}: no such manifest; give one with --manifest FILE")
    rows = sentence_case(read_manifest(manifest)[0])
    fast = training_dtype("cpu", "auto")
    dtypes = (args.dtypes or ",".join(dict.fromkeys((fast, "float32")))).split(",")
    env = dict(os.environ, TOKENIZERS_PARALLELISM="false")
    if args.threads:
        env |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(args.threads))
    folder_of = (
        "import sys; from moontune.models.locate import locate; print(locate(sys.argv[1])[0])"
    )
    model = python(["-c", folder_of, args.model_id], env).strip().split("\n")[-1]
    peaks = json.loads(python(["-m", "benchmarks.speed.machine"], env))
    versions = [f"{n} {importlib.metadata.version(n)}" for n in ("torch", "transformers", "peft")]
    print(
        f"{manifest.parent.name}, base {args.model_id}, {', '.join(versions)}, "
        f"{platform.machine()}, {os.cpu_count()} cores, {peaks['threads']} threads, {args.rounds} "
        f"rounds\n\nmatrix peak: {peaks['fp32'] / 1e9:.0f} GFLOP/s in fp32, "
        f"{peaks['bf16'] / 1e9:.0f} in bf16\n\n| work | peer, clips/s | ours, clips/s "
        "| ours / peer | peer, MiB | ours, MiB | peer, of fp32 peak | ours, of fp32 peak |\n"
        "|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    remarks = []
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(model, Path(folder), env, args.rounds, args.seed)
        for part in (p for p in PARTS if p in asked):
            if part == "startup":
                remarks.append(launching(args, contest))
                continue
            if part == "evaluation":
                found = [evaluation(args, contest, rows)]
            else:
                sites: Sites = "both" if part == "training" else "decoder"
                found = (
                    training(args, contest, rows, peaks["fp32"], sites, dtype) for dtype in dtypes
                )
            for row, remark in found:
                print(row, flush=True)
                remarks.append(remark)
    print("\n" + "\n".join(f"- {remark}" for remark in remarks))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
