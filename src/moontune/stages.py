"""What each stage of a run does: from what the run's folder holds to what it leaves there."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from typing import Any

from moontune.comparison import unlike
from moontune.config import PLAN_MINUTES, RunConfig
from moontune.errors import UserError
from moontune.facts import plain
from moontune.files import read_jsonl, write_json, write_jsonl
from moontune.general_speech import clean_more_speech, more_speech, sample_more_speech
from moontune.manifest import Dropped, Utterance, read_rows, write_manifest
from moontune.parallel import SOLO, Group
from moontune.paths import cache_dir
from moontune.rundir import RunDir
from moontune.split import SPLITS
from moontune.stage_ui import Ui


def sample_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.sources.pick import sample

    taken = sample(
        config.data,
        config.clean,
        seed=config.output.seed,
        audio_dir=cache_dir() / "audio",
        progress=ui.progress,
    )
    write_manifest(run.manifest("sampled"), taken.utterances, keep_where=True)
    write_jsonl(run.manifest("dropped"), [_dropped_row("sample", d) for d in taken.dropped])
    facts = {"utterances": len(taken.utterances), "dropped": len(taken.dropped)}
    ui.note(f"{len(taken.utterances)} utterances from {config.data.source}")
    return facts | {"origin": taken.origin} | sample_more_speech(run, config, ui)


def _dropped_row(stage: str, d: Dropped) -> dict[str, Any]:
    return {"stage": stage, **asdict(d)}


def clean_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.clean import clean

    sampled = read_rows(run.manifest("sampled"))
    result = clean(
        sampled,
        config.clean,
        keep_silence=config.data.source == "silence",
        progress=ui.progress,
    )
    before = [r for r in read_jsonl(run.manifest("dropped")) if r["stage"] == "sample"]
    rows = before + [_dropped_row("clean", d) for d in result.dropped]
    write_jsonl(run.manifest("dropped"), rows)
    write_json(run / "manifests/audio_sha256.json", result.audio_sha256)
    reasons = dict(Counter(r["reason"] for r in rows).most_common())
    minutes = sum(u.duration or 0.0 for u in result.utterances) / 60
    for reason, count in reasons.items():
        example = next(r for r in rows if r["reason"] == reason)
        ui.note(f"dropped {count}: {reason}, e.g. {example['where']}: {example['detail']}")
    if len(result.utterances) < 3:
        raise UserError(
            f"{len(result.utterances)} of {len(sampled)} utterances are usable and at least 3 are "
            f"needed; see {run.manifest('dropped')} for the reasons"
        )
    ui.note(f"{len(result.utterances)} usable utterances, {minutes:.1f} minutes")
    low, high = PLAN_MINUTES
    remarks = []
    if not low <= minutes <= high:
        remarks.append(f"{minutes:.1f} minutes is outside the plan's {low:.0f}-{high:.0f}")
        ui.note(f"remark: {remarks[0]}")
    write_manifest(run.manifest("clean"), result.utterances)
    remark = clean_more_speech(run, config, ui, result)
    return {
        "utterances": len(result.utterances),
        "minutes": round(minutes, 2),
        "speakers": len({u.speaker for u in result.utterances}),
        "dropped": reasons,
        "remarks": remarks,
        "general_remark": remark,
    }


def split_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.split import split_utterances

    utterances = read_rows(run.manifest("clean"))
    hashes: dict[str, str] = run.read("manifests/audio_sha256.json")
    done = split_utterances(
        utterances,
        val_share=config.split.val_share,
        test_share=config.split.test_share,
        seed=config.output.seed,
        split_by=config.split.split_by,
        audio_key=lambda u: hashes.get(u.id, ""),
    )
    for name in SPLITS:
        write_manifest(run.manifest(name), done.parts[name])
        s = done.shares[name]
        ui.note(
            f"{name:5} {s.utterances:4} clips, {s.speakers:3} speakers, {s.seconds / 60:5.1f} min "
            f"({100 * s.share:.1f} %, wanted {100 * s.wanted:.0f} %)"
        )
    summary = done.summary()
    counts = summary["leakage"]["counts"]
    if config.split.split_by == "utterance" and any(u.speaker is None for u in utterances):
        ui.note("remark: not every clip names its speaker, so shared speakers cannot be counted")
    ui.note(
        "shared between splits: "
        + ", ".join(
            f"{n} {kind}{'' if n == 1 or kind == 'audio' else 's'}" for kind, n in counts.items()
        )
    )
    write_json(run / "split.json", summary)
    return {"leakage": counts}


def labels_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: Group = SOLO,
    written: dict[str, str] | None = None,
) -> dict[str, Any]:
    """`written`: the base's transcripts by audio file that are known already; gets the new ones."""
    from moontune.labels import make_labels

    known = {} if written is None else written
    parts = group.of_lead(lambda: {n: read_rows(run.manifest(n)) for n in SPLITS})
    used: dict[str, str] = {}
    loaded: list[Any] = []  # what transcribes, once it is needed
    everything: dict[str, str] = {}

    def transcribe_all(utterances) -> dict[str, str]:
        new = [u for u in utterances if str(u.audio_filepath) not in known]
        if new:
            transcribe_new(new)
        found = {u.id: known[str(u.audio_filepath)] for u in utterances}
        everything.update(found)
        if group.lead:
            write_json(run / "base_transcripts.json", everything)
        return found

    def transcribe_new(utterances) -> None:
        from moontune.transcribe import Transcriber, load_audio, shared_batches

        if not loaded:
            loaded.append(Transcriber(_load(run, config, used, group)))
        transcribe = loaded[0]
        found: list[tuple[int, str]] = []
        mine = shared_batches(utterances, group)
        for indices in mine:
            clips = [load_audio(utterances[i]) for i in indices]
            out = transcribe(clips, config.eval.token_cap)
            found += [(i, t.text) for i, t in zip(indices, out, strict=True)]
            wanted = sum(map(len, mine))
            ui.progress(len(found), wanted, "clips transcribed by the base, for style")
        for i, text in group.gather(found):
            known[str(utterances[i].audio_filepath)] = text

    labels = make_labels(parts, config.labels.label_style, transcribe_all)
    made = dict(labels.utterances)
    for name in ("general", "replay"):  # each in the style its own references need
        rows = group.of_lead(lambda name=name: more_speech(run, name))
        if rows:
            styled = make_labels({"train": rows}, config.labels.label_style, transcribe_all)
            made[name] = styled.utterances["train"]
    if group.lead:
        for name, part in made.items():
            write_manifest(run.manifest(name), part)
    s = labels.summary
    ui.note(f"references are {s['references']}; labels: {s['used']}")
    for e in s["examples"][:2]:
        ui.note(f"  {e['text'][:60]} => {e['target'][:60]}")
    return s | used


def _load(run: RunDir, config: RunConfig, used: dict[str, Any], group: Group):
    """The configured base on the configured device; what was chosen goes into `used`.

    The first stage that loads the base decides which one it is: a hub's newest commit is pinned,
    and other weights under the same name are refused.
    """
    from moontune.device import choose_device
    from moontune.model import load_base

    device = choose_device(config.device.device)
    earlier = group.of_lead(lambda: {n: f["base"] for n, f in run.stages().items() if "base" in f})
    pinned = next((b["revision"] for b in earlier.values() if b["from_hub"]), None)
    base = load_base(config.model.model_id, config.model.revision or pinned, device.name)
    for name, other in earlier.items():
        if other["sha256"] != base.origin.sha256:
            raise UserError(
                f"the base's weights are not those of stage {name} any more "
                f"({base.origin.sha256[:12]}, then {other['sha256'][:12]}); bring those back, or "
                f"begin again with: moontune labels {run.path} --overwrite"
            )
    if group.of_lead(lambda: base.origin.sha256) != base.origin.sha256:
        raise UserError(
            f"{base.origin.path}: not the weights that the first process loaded; bring the same "
            "ones to every machine, or give --revision"
        )
    used |= {"device": asdict(device), "base": asdict(base.origin)}
    return base


def baseline_stage(run: RunDir, config: RunConfig, ui: Ui, group: Group = SOLO) -> dict[str, Any]:
    used: dict[str, Any] = {}
    base = _load(run, config, used, group)
    _evaluate(run, config, ui, base, "base", group)
    return used


def evaluate_stage(run: RunDir, config: RunConfig, ui: Ui, group: Group = SOLO) -> dict[str, Any]:
    from moontune.adapter import load_adapter

    used: dict[str, Any] = {}
    base = _load(run, config, used, group)
    load_adapter(base, run.adapter)  # what is on disk, not what was in memory
    _evaluate(run, config, ui, base, "tuned", group)
    for prefix in ("", "general_"):
        if group.lead and (run / f"{prefix}eval_tuned.json").is_file():
            _same_conditions(run, prefix)
    return used


def _same_conditions(run: RunDir, prefix: str) -> None:
    before, after = (run.read(f"{prefix}eval_{which}.json") for which in ("base", "tuned"))
    if differing := unlike(before, after):
        key = differing[0]
        raise UserError(
            f"the baseline was measured with another {key} ({before[key]}, now {after[key]}); "
            f"measure again from: moontune baseline {run.path} --overwrite"
        )


def _clips_to_measure(run: RunDir, what: str) -> list[Utterance]:
    return read_rows(run.manifest(what)) if what == "test" else more_speech(run, what)


def _evaluate(run: RunDir, config: RunConfig, ui: Ui, base: Any, which: str, group: Group) -> None:
    """Measure a model on the test split, and on general speech where there is any."""
    from moontune.evaluate import evaluate
    from moontune.transcribe import load_audio

    for what, prefix in (("test", ""), ("general", "general_")):
        rows = group.of_lead(lambda what=what: _clips_to_measure(run, what))
        if not rows:
            continue  # no general speech
        done = evaluate(
            base,
            rows,
            load_audio,
            cap=config.eval.token_cap,
            step=lambda i, n, what=what: ui.progress(i, n, f"{what} clips, {which} model"),
            group=group,
        )
        if not group.lead:
            continue
        write_jsonl(run / f"{prefix}predictions_{which}.jsonl", [p.row() for p in done.predictions])
        write_json(run / f"{prefix}eval_{which}.json", done.summary())
        wer = "none" if done.wer is None else f"{100 * done.wer:.2f} %"
        ui.note(f"{which}: loss {done.loss:.4f}, WER {wer} on {done.utterances} {what} clips")


def train_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: Group = SOLO,
    val_clips: int | None = None,
) -> dict[str, Any]:
    """`val_clips`: how many clips to validate on, else what `validation_sample` takes."""
    import torch

    from moontune.adapter import (
        adapter_state,
        attach_lora,
        save_adapter,
        save_processor,
        trainable_parameters,
    )
    from moontune.device import training_dtype
    from moontune.evaluate import evaluate
    from moontune.picks import BASE_CLIPS, Data, open_settings, pick
    from moontune.train import mixed, spread, train, validation_sample
    from moontune.transcribe import load_audio

    used: dict[str, Any] = {}
    base = _load(run, config, used, group)
    own, val, replay = group.of_lead(
        lambda: (
            read_rows(run.manifest("train")),
            read_rows(run.manifest("val")),
            more_speech(run, "replay"),
        )
    )

    def wer(rows: list[Utterance]) -> float | None:
        return evaluate(base, rows, load_audio, cap=config.eval.token_cap, group=group).wer

    base_wer = wer(spread(val, BASE_CLIPS)) if "lr" in open_settings(config) else None
    config, picks = pick(config, Data(len(own), base_wer))
    for p in picks:
        ui.note(f"{p.name} {plain(p.value)}: {p.why}")
    if val_clips is None:
        validated = validation_sample(val, config.train)
    else:
        validated = spread(val, val_clips)
    if len(validated) < len(val):
        ui.note(f"validating on {len(validated)} of the {len(val)} validation clips")
    seed = config.output.seed
    model = attach_lora(base, config.lora, seed)
    start = adapter_state(model) if config.lora.lora_variant == "pissa" else None
    count = trainable_parameters(model)
    dtype = training_dtype(base.device, config.train.dtype)
    ui.note(f"{count:,} trainable parameters, matrix products in {dtype}")
    log_file = run / "train_log.jsonl" if group.lead else os.devnull
    with open(log_file, "w", encoding="utf-8") as stream:

        def log(event: dict[str, Any]) -> None:
            stream.write(json.dumps(event) + "\n")
            stream.flush()
            ui.training(event, config.train.updates)

        result = train(
            model,
            base,
            mixed(own, replay, config.general.replay_share, seed),
            validated,
            load_audio,
            config.train,
            seed,
            log,
            getattr(torch, dtype),
            group,
            lambda: wer(validated),
        )
    if not group.lead:
        return used
    save_adapter(model, base, run.adapter, start)
    save_processor(base, run.processor)
    summary = asdict(result) | {
        "trainable_parameters": count,
        "dtype": dtype,
        "val_utterances": len(validated),
        "processes": group.size,
        "picked": {p.name: p.value for p in picks},
        "why": {p.name: p.why for p in picks},
    }
    write_json(run / "train.json", summary)
    ui.note(
        f"{result.stopped} after {result.steps} updates; kept step {result.best_step}, "
        f"validation loss {result.first_val_loss:.4f} -> {result.best_val_loss:.4f}"
    )
    if result.skipped:
        ui.note(f"remark: {result.skipped} updates were skipped for a non-finite loss or gradient")
    return used


def artifact_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.artifact import artifact_test

    done = artifact_test(run, config)
    ui.note(
        f"fresh process: {done['clips_identical']} of {done['clips_compared']} clips gave "
        "identical token ids"
    )
    return {}


def verdict_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.metrics import write_metrics

    metrics = write_metrics(run, config)
    return {"accepted": metrics["accepted"]}


def report_stage(run: RunDir, config: RunConfig, ui: Ui) -> dict[str, Any]:
    from moontune.report import update_report

    update_report(run, config)
    ui.note(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")
    return {}
