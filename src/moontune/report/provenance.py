"""What made a run: its data, artifact, commands, settings and machine, as tables. No torch here."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from moontune.config.loading import in_effect, setting_text, to_dict
from moontune.config.schema import RunConfig
from moontune.pipeline.run_dir import RunDir
from moontune.system.formatting import percent


@dataclass(frozen=True)
class Section:
    """A table of a report; without a head its rows are lines of code."""

    title: str
    head: list[str]
    rows: list[list[Any]]
    note: str = ""


def facts_of(run: RunDir, m: dict[str, Any]) -> list[Section]:
    """All of them, in the order of the reports; `m` is the run's metrics."""
    return [
        data_facts(m),
        artifact_facts(run),
        command_facts(m["environment"]["commands"]),
        setting_facts(run.used_config(), m["training"].get("why")),
        machine_facts(m),
    ]


def data_facts(m: dict[str, Any]) -> Section:
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
    general = m["general"]
    more = "".join(
        f" {use}: {origin_text(general[key])}."
        for use, key in (("Checked for forgetting on", "origin"), ("Replayed", "replay"))
        if general[key]
    )
    note = (
        f"Shared between splits: {leaks}. Dropped: {dropped}. References are "
        f"{labels['references']}, labels {labels['used']}. "
        f"Origin: {origin_text(m['data']['origin'])}.{more}"
    )
    head = ["split", "clips", "speakers", "minutes", "share of the audio, of wanted"]
    return Section("Data and split", head, rows, note)


def origin_text(origin: dict[str, Any]) -> str:
    """The source of data in words, without the folder it happens to lie in."""
    return ", ".join(f"{k} {v}" for k, v in origin.items() if k != "folder")


def artifact_facts(run: RunDir) -> Section:
    a = run.read("artifact_test.json")
    rows = [
        [c["id"], c.get("reference", ""), c["transcript"], "yes" if c["identical_tokens"] else "NO"]
        for c in a["clips"]
    ]
    note = (
        f"Reloaded in a fresh process on {a['device']}, WER {percent(a['wer'])} on these clips: "
        f"scripts/{shlex.join(a['command'])}"
    )
    return Section("The artifact", ["clip", "reference", "transcript", "same tokens"], rows, note)


def command_facts(commands: list[list[str]]) -> Section:
    return Section("Commands", [], [["moontune " + shlex.join(words)] for words in commands])


def setting_facts(config: RunConfig, why: dict[str, str] | None = None) -> Section:
    """Settings, with what they were picked for: `why` of those that were."""
    sections = to_dict(in_effect(config)).values()
    rows = [[k, setting_text(v)] for section in sections for k, v in section.items()]
    picked = "; ".join(f"{name}: {reason}" for name, reason in (why or {}).items())
    note = f"Picked for the data: {picked}." if picked else ""
    return Section("Settings", ["setting", "value"], rows, note)


def machine_facts(m: dict[str, Any]) -> Section:
    env, base, device, t = m["environment"], m["base_model"], m["device"], m["training"]
    rate = t["utterances_seen"] / max(t["seconds"] - t["seconds_validating"], 1e-9)
    back = t.get("heard_backwards", {"clips": 0})
    turned = (
        f", {back['clips']} clips heard backwards too, with nothing to write for {back['empty']}"
        if back["clips"]
        else ""
    )
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
            f"{t['trainable_parameters']:,} parameters, matrix products in "
            f"{t.get('dtype', 'float32')}, {t['seconds']:.0f} s of which "
            f"{t['seconds_validating']:.0f} s validating, {rate:.1f} clips a second{turned}",
        ],
        ["seconds", ", ".join(f"{k} {v:.0f}" for k, v in m["timings_s"].items())],
        ["python", f"{env['python']} on {env['platform']}"],
        ["versions", ", ".join(f"{k} {v}" for k, v in env["versions"].items())],
        ["source", env["git_revision"] or "installed package"],
        ["started", env["started"]],
    ]
    return Section("Machine and versions", ["", ""], rows, ". ".join(m["remarks"]))
