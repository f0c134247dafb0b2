"""What a run, or two, put on their HTML page. No torch here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from moontune.config import RunConfig
from moontune.files import read_jsonl
from moontune.html_report import Page, Section, render_page
from moontune.manifest import read_rows
from moontune.rundir import RunDir
from moontune.settings import to_dict
from moontune.wording import origin_text


def run_page(run: RunDir, config: RunConfig) -> str:
    """The page of a run that has its metrics."""
    m = run.read("metrics.json")
    general = m["general"]
    page = Page(
        title=m["run"],
        accepted=m["accepted"],
        sentence=m["comparison"]["sentences"]["wer"],
        cautions=_why(m["verdict"]) + m["verdict"]["cautions"],
        names=("base", "tuned"),
        comparison=m["comparison"],
        general=general if general["comparison"] else None,
        general_note=general["remark"] or "The settings asked for none.",
        checks=m["verdict"]["checks"],
        predictions=_predictions(run / "predictions_base.jsonl", run / "predictions_tuned.jsonl"),
        audio=_audio(run),
        train_log=read_jsonl(run / "train_log.jsonl"),
        kept_step=m["training"]["best_step"],
        facts=[
            _data(m),
            _artifact(run),
            _commands(m["environment"]["commands"]),
            _settings(config),
            _machine(m),
        ],
    )
    return render_page(page, config.report.report_clips)


def _why(verdict: dict[str, Any]) -> list[str]:
    """What the chip alone does not say: a smoke run's leniency, or the checks that failed."""
    if verdict["accepted"]:
        return ["Accepted as a smoke run, on its artifacts alone."] if verdict["smoke"] else []
    failed = [c for c in verdict["checks"] if not c["passed"]]
    return [f"Not accepted: {c['name']}: {c['detail']}." for c in failed]


def comparison_page(
    runs: tuple[RunDir, ...],
    names: tuple[str, str],
    comparison: dict[str, Any],
    remarks: list[str],
    clips: int,
) -> str:
    """The page of two runs' tuned models side by side."""
    configs = [{k: v for s in to_dict(r.config()).values() for k, v in s.items()} for r in runs]
    keys = [k for k in configs[0] | configs[1] if configs[0].get(k) != configs[1].get(k)]
    differing = [[k, *(_plain(c.get(k, "not set")) for c in configs)] for k in keys]
    trainings = [r.read("train.json") for r in runs]
    kept = [
        [label, *(round(t[key], 4) for t in trainings)]
        for label, key in (
            ("updates", "steps"),
            ("kept update", "best_step"),
            ("validation loss", "best_val_loss"),
            ("seconds of training", "seconds"),
        )
    ]
    commands = [words for r in runs for words in r.record()["environment"]["commands"]]
    page = Page(
        title=f"{names[0]} and {names[1]}",
        accepted=None,
        sentence=comparison["sentences"]["wer"],
        cautions=remarks,
        names=names,
        comparison=comparison,
        general=None,
        general_note=None,
        checks=[],
        predictions=_predictions(*(r / "predictions_tuned.jsonl" for r in runs)),
        audio=_audio(runs[0]),
        train_log=[],
        kept_step=None,
        facts=[
            Section("Settings that differ", ["setting", *names], differing),
            Section("Training", ["", *names], kept),
            _commands(commands),
        ],
    )
    return render_page(page, clips)


def _predictions(before: Path, after: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of both, in one order."""
    rows = read_jsonl(before)
    others = {r["id"]: r for r in read_jsonl(after)}
    return rows, [others[r["id"]] for r in rows]


def _audio(run: RunDir) -> dict[str, Path]:
    return {u.id: u.audio_filepath for u in read_rows(run.manifest("test"))}


def _data(m: dict[str, Any]) -> Section:
    rows = [
        [
            name,
            s["utterances"],
            s["speakers"],
            f"{s['seconds'] / 60:.1f}",
            f"{100 * s['share']:.1f} % of {100 * s['wanted']:.0f} %",
        ]
        for name, s in m["split"].items()
    ]
    leaks = ", ".join(f"{n} {kind}" for kind, n in m["leakage"].items())
    dropped = ", ".join(f"{n} {why}" for why, n in m["data"]["dropped"].items()) or "none"
    labels = m["labels"]
    note = (
        f"Shared between splits: {leaks}. Dropped: {dropped}. References are "
        f"{labels['references']}, labels {labels['used']}. "
        f"Origin: {origin_text(m['data']['origin'])}."
    )
    head = ["split", "clips", "speakers", "minutes", "share of the audio, of wanted"]
    return Section("Data and split", head, rows, note)


def _artifact(run: RunDir) -> Section:
    a = run.read("artifact_test.json")
    rows = [
        [c["id"], c.get("reference", ""), c["transcript"], "yes" if c["identical_tokens"] else "NO"]
        for c in a["clips"]
    ]
    note = f"Reloaded in a fresh process on {a['device']}: scripts/{shlex.join(a['command'])}"
    return Section("The artifact", ["clip", "reference", "transcript", "same tokens"], rows, note)


def _commands(commands: list[list[str]]) -> Section:
    return Section("Commands", [], [["moontune " + shlex.join(words)] for words in commands])


def _settings(config: RunConfig) -> Section:
    rows = [[k, _plain(v)] for section in to_dict(config).values() for k, v in section.items()]
    return Section("Settings", ["setting", "value"], rows)


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _machine(m: dict[str, Any]) -> Section:
    env, base, device, t = m["environment"], m["base_model"], m["device"], m["training"]
    rows = [
        [
            "base",
            f"{base['asked']} ({base['hub_id']}, revision {base['revision'] or 'not stated'})",
        ],
        ["weights", f"sha256 {base['sha256'][:16]}"],
        ["device", f"{device['name']} ({device['reason']}), {device['dtype']}"],
        [
            "training",
            f"{t['steps']} updates ({t['stopped']}), {t['skipped']} skipped, "
            f"{t['trainable_parameters']:,} parameters, {t['seconds']:.0f} s",
        ],
        ["seconds", ", ".join(f"{k} {v:.0f}" for k, v in m["timings_s"].items())],
        ["python", f"{env['python']} on {env['platform']}"],
        ["versions", ", ".join(f"{k} {v}" for k, v in env["versions"].items())],
        ["source", env["git_revision"] or "installed package"],
        ["started", env["started"]],
    ]
    return Section("Machine and versions", ["", ""], rows, ". ".join(m["remarks"]))
