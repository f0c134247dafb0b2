"""The stages that hear with the model: labels, and the evaluations before and after."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, read_rows, write_manifest
from moontune.data.splitting import SPLITS
from moontune.errors import UserError
from moontune.evaluation.comparison import unlike
from moontune.pipeline.general_speech import more_speech
from moontune.pipeline.run_dir import RunDir, pinned_revision
from moontune.system.distributed import SOLO, Group
from moontune.system.files import write_json, write_jsonl
from moontune.system.progress import Ui


def labels_stage(  # noqa: C901
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: Group = SOLO,
    written: dict[str, str] | None = None,
) -> dict[str, Any]:
    """`written`: the base's transcripts by audio file that are known already; gets the new ones."""
    from moontune.data.labels import make_labels

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
        from moontune.models.transcriber import Transcriber, load_audio, shared_batches

        if not loaded:
            loaded.append(Transcriber(load_for_stage(run, config, used, group)))
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


def load_for_stage(run: RunDir, config: RunConfig, used: dict[str, Any], group: Group):
    """The configured base on the configured device; what was chosen goes into `used`.

    The first stage that loads the base decides which one it is: a hub's newest commit is pinned,
    and other weights under the same name are refused.
    """
    from moontune.models.base_model import load_base
    from moontune.system.device import choose_device

    device = choose_device(config.device.device)
    earlier = group.of_lead(lambda: {n: f["base"] for n, f in run.stages().items() if "base" in f})
    revision = group.of_lead(lambda: pinned_revision(run, config))
    base = load_base(config.model.model_id, revision, device.name)
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
    base = load_for_stage(run, config, used, group)
    _evaluate(run, config, ui, base, "base", group)
    return used


def evaluate_stage(run: RunDir, config: RunConfig, ui: Ui, group: Group = SOLO) -> dict[str, Any]:
    from moontune.models.adapter import load_adapter

    used: dict[str, Any] = {}
    base = load_for_stage(run, config, used, group)
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
    from moontune.evaluation.evaluate import evaluate
    from moontune.models.transcriber import load_audio

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
