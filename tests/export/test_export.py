"""`moontune export`: its products say what the tuned model says; what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import noise
from choices import assert_decided
from safetensors.torch import load_file, save_file

from moontune.cli.dispatch import main
from moontune.config.schema import TokenCap
from moontune.data.manifest import Utterance, read_run_manifest
from moontune.errors import UserError
from moontune.evaluation.measures import Interval
from moontune.languages.table import ENGLISH
from moontune.models.adapter import merged, refuse_other_tensors
from moontune.models.transcriber import Transcriber, load_audio
from moontune.system.files import read_jsonl, write_json
from moontune.transcribe.recognizer import stated_language_of_model

CAP = TokenCap(6.5, 8)
STAGES = ("clean", "split", "labels", "baseline", "train")


def not_asked_for(folder: Path) -> None:
    raise AssertionError("an environment for the vendor's runtime, which nobody asked for")


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_model, noise_manifest) -> Path:
    """An evaluated run whose adapter changes what is written."""
    where = tmp_path_factory.mktemp("user")
    words = {"manifest": noise_manifest, "model-id": tiny_model, "run-name": "r", "device": "cpu"}
    words |= {"max-steps": 2, "grad-accum": 2, "eval-every-steps": 2, "general": "off"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        flags = [word for key, value in words.items() for word in (f"--{key}", str(value))]
        assert main(["sample", *flags, "--lr", "1e-3"]) == 0
        for stage in STAGES:
            assert main([stage, "outputs/r"]) == 0
        file = where / "outputs/r/lora_adapter/adapter_model.safetensors"
        torch.manual_seed(1)
        # So little that rounding is not magnified, see `assert_decided`.
        stirred = {name: 0.05 * torch.randn_like(v) for name, v in load_file(file).items()}
        save_file(stirred, file, metadata={"format": "pt"})
        assert main(["evaluate", "outputs/r"]) == 0
        patch.setattr("moontune.export.vendor_runtime._make", not_asked_for)
        assert main(["export", "outputs/r"]) == 0
    return where / "outputs/r"


def facts(run: Path) -> dict:
    return json.loads((run / "export/export.json").read_text())


def test_everything_promised_is_there_with_its_digest(run) -> None:
    made = facts(run)
    for name in (
        *(f"merged/{n}" for n in ("model.safetensors", "config.json", "tokenizer.json")),
        *(f"{d}/{n}.onnx" for d in ("onnx", "onnx-int8") for n in ("encoder_model",)),
        *(f"{d}/decoder_model_merged.onnx" for d in ("onnx", "onnx-int8")),
        "transcribe.py",
        *(f"ort/{n}" for n in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")),
    ):
        content = (run / "export" / name).read_bytes()
        assert made["files"][name]["sha256"] == hashlib.sha256(content).hexdigest(), name
        assert made["files"][name]["bytes"] == len(content) > 0
    assert made["opset"] == 17
    assert made["environment"]["versions"]["onnxruntime"]
    assert made["vendor_runtime"] is None
    assert not list(run.glob(".export*"))
    assert not list((run / "export").rglob("*.data"))


def test_merged_and_float_onnx_write_the_tuned_models_tokens(run) -> None:
    rows = {row["name"]: row for row in facts(run)["table"]}
    from moontune.models.base_model import load_base

    base = load_base(str(run / "export/merged"), None, "cpu")
    clips = [load_audio(u) for u in read_run_manifest(run / "manifests/test.jsonl")]
    assert_decided(
        base, clips, [Transcriber(base, mends_loops=False)([clip], CAP)[0] for clip in clips]
    )
    for name in ("PyTorch, tuned", "PyTorch, merged", "ONNX, float32"):
        assert rows[name]["same_tokens"] == rows[name]["clips"] > 0
        assert rows[name]["times_real_time"] > 0
    assert rows["PyTorch, base"]["same_tokens"] == 0  # the adapter changes every clip
    said = read_jsonl(run / "export/predictions/onnx-float32.jsonl")
    tuned = read_jsonl(run / "predictions_tuned.jsonl")
    for key in ("id", "tokens", "hypothesis", "edits", "truncated"):
        assert [row[key] for row in said] == [row[key] for row in tuned], key


def test_the_card_names_base_data_figures_and_licence(run) -> None:
    text = (run / "export/README.md").read_text()
    for part in ("Base: ", "24 clips", "before (the base)", "opset 17", "WER"):
        assert part in text
    base = Path(facts(run)["base"]["hub_id"])  # a folder here, and nothing in it tells its licence
    assert f"The licence of the base, {base.name}, is not known to moontune" in text
    assert "license:" not in text
    assert str(base.parent) not in text
    assert "ONNX, 8 bit" in text
    assert "| `predictions/` |" in text
    [manifest] = facts(run)["data"]["origin"]["manifest"]
    assert str(Path(manifest).parent) not in text


def test_the_cards_onnx_example_runs(run, monkeypatch, capsys) -> None:
    text = (run / "export/README.md").read_text()
    example = text.split("# ONNX in Python")[1].split("\n", 1)[1].split("\n\n")[0]
    assert example.startswith("from moontune import OnnxTranscriber, TokenCap\n")
    monkeypatch.chdir(run / "export")
    samples = load_audio(read_run_manifest(run / "manifests/test.jsonl")[0])
    exec(example, {"samples": samples})
    [row, *_] = read_jsonl(run / "export/predictions/onnx-8-bit.jsonl")
    assert capsys.readouterr().out == row["hypothesis"] + "\n"


def test_merged_is_a_model_for_model_id(run, tmp_path) -> None:
    clips = [noise(50 + i, s) for i, s in enumerate((895 / 16_000, 0.7, 2.3))]
    from moontune.models.adapter import load_adapter
    from moontune.models.base_model import load_base

    tuned = load_base(str(facts(run)["base"]["asked"]), None, "cpu")
    load_adapter(tuned, run / "lora_adapter")
    plain = load_base(str(run / "export/merged"), None, "cpu")
    assert (
        plain.net.state_dict().keys()
        == load_base(str(facts(run)["base"]["asked"]), None, "cpu").net.state_dict().keys()
    )
    one, other = (Transcriber(b, mends_loops=False)(clips, CAP) for b in (tuned, plain))
    assert one == other
    listed = tmp_path / "list.txt"
    listed.write_text(f"{read_run_manifest(run / 'manifests/test.jsonl')[0].audio_filepath}\n")
    from moontune.cli import run_stt

    given = ["--model-id", str(run / "export/merged"), "--audio-list", str(listed)]
    assert run_stt.main([*given, "--output", str(tmp_path / "o.json"), "--device", "cpu"]) == 0


def test_onnx_transcribes_without_torch_what_torch_does(run, tmp_path) -> None:
    clips = [noise(70 + i, s) for i, s in enumerate((895 / 16_000, 0.4, 1.9, 5.2))]
    np.savez(tmp_path / "clips.npz", *clips)
    code = (
        "import sys, json, numpy as np\n"
        "from pathlib import Path\n"
        "from moontune.config.schema import TokenCap\n"
        "from moontune.models.onnx import OnnxTranscriber\n"
        "clips = list(np.load(sys.argv[1]).values())\n"
        "heard = OnnxTranscriber(Path(sys.argv[2]))(clips, TokenCap(6.5, 8))\n"
        "assert not {'torch', 'transformers', 'onnx'} & set(sys.modules)\n"
        "print(json.dumps([[h.text, h.tokens, h.truncated] for h in heard]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "clips.npz"), str(run / "export/onnx")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    from moontune.models.base_model import load_base

    base = load_base(str(run / "export/merged"), None, "cpu")
    wanted = Transcriber(base, mends_loops=False)(clips, CAP)
    assert_decided(base, clips, wanted)
    assert json.loads(done.stdout) == [[w.text, w.tokens, w.truncated] for w in wanted]


def test_ort_files_write_what_the_8_bit_onnx_does(run) -> None:
    from moontune.models.onnx import OnnxTranscriber

    clips = [load_audio(u) for u in read_run_manifest(run / "manifests/test.jsonl")][:2]
    tokenizer = run / "export/onnx/tokenizer.json"
    one, other = (
        OnnxTranscriber(run / "export" / name, threads=1, tokenizer=tokenizer)(clips, CAP)
        for name in ("onnx-int8", "ort")
    )
    assert [o.tokens for o in one] == [o.tokens for o in other]


def test_the_program_in_an_export_needs_onnxruntime_numpy_and_soundfile_alone(
    run, tmp_path
) -> None:
    """Run by an interpreter that finds nothing else: not moontune, torch, transformers or peft."""
    # What these three themselves depend on is there too.
    allowed = ("onnxruntime", "numpy", "soundfile", "_soundfile", "_soundfile_data", "cffi")
    allowed += (
        "_cffi_backend",
        "pycparser",
        "google",
        "flatbuffers",
        "packaging",
        "typing_extensions",
    )
    here = (
        "import runpy, sys, sysconfig\n"
        "site = sysconfig.get_paths()['purelib']\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] not in (*sys.stdlib_module_names, *{allowed}):\n"
        "            raise ImportError(f'{name} is not here')\n"
        "sys.meta_path.insert(0, Missing())\n"
        "del sys.argv[0]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    shutil.copytree(run / "export", tmp_path / "e")
    first = read_run_manifest(run / "manifests/test.jsonl")[0]
    for folder, product in (("onnx", "onnx-float32"), ("onnx-int8", "onnx-8-bit"), ("ort", None)):
        given = [tmp_path / "e/transcribe.py", first.audio_filepath, "--model", folder]
        done = subprocess.run(
            [sys.executable, "-c", here, *map(str, given)],
            capture_output=True,
            text=True,
            cwd=tmp_path / "e",
        )
        assert done.returncode == 0, done.stderr
        [row, *_] = read_jsonl(run / f"export/predictions/{product or 'onnx-8-bit'}.jsonl")
        heard = "".join(c if c.isprintable() else " " for c in row["hypothesis"])
        assert done.stdout == heard + "\n" != "\n", folder


def test_the_program_in_an_export_goes_on_after_what_it_cannot_read(run, tmp_path) -> None:
    first = read_run_manifest(run / "manifests/test.jsonl")[0]
    (tmp_path / "text.wav").write_text("no sound")
    files = ["none.wav", "text.wav", first.audio_filepath]
    done = subprocess.run(
        [sys.executable, run / "export/transcribe.py", *files],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert [line.partition(" (")[0] for line in told] == [f"{f}: cannot be read" for f in files[:2]]
    assert "none.wav: cannot be read (no such file); give" in told[0]
    assert len(done.stdout.splitlines()) == 4  # three names, one text


def test_transcribe_takes_every_pair_of_an_export_and_no_torch(run, tmp_path) -> None:
    first = read_run_manifest(run / "manifests/test.jsonl")[0]
    for folder in ("merged", "onnx", "ort"):  # as the export's card says
        assert stated_language_of_model(str(run / "export" / folder)) == ENGLISH
    code = (
        "import sys\n"
        "from moontune.cli.dispatch import main\n"
        "code = main(sys.argv[1:])\n"
        "assert not {'torch', 'transformers', 'peft'} & sys.modules.keys()\n"
        "sys.exit(code)\n"
    )
    words = ["transcribe", str(first.audio_filepath), "--format", "jsonl"]
    words += ["--speech-threshold", "1e-6", "--model"]
    for folder, product in (("onnx", "onnx-float32"), ("ort", "onnx-8-bit")):
        given = [sys.executable, "-c", code, *words, str(run / "export" / folder)]
        done = subprocess.run(given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        [row, *_] = read_jsonl(run / f"export/predictions/{product}.jsonl")
        assert json.loads(done.stdout)["text"] == row["hypothesis"]


@pytest.fixture
def copy(run, tmp_path) -> Path:
    shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("export"))
    return tmp_path / "copy"


def test_there_already_and_again(copy, capsys) -> None:
    assert main(["export", str(copy), "--no-measure", "--spare", "mlp"]) == 0
    assert facts(copy)["spared"] == ["mlp"]
    assert main(["export", str(copy)]) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert main(["export", str(copy), "--no-measure", "--overwrite"]) == 0
    assert facts(copy)["spared"] == ["encoder.layers"]
    card = (copy / "export/README.md").read_text()
    assert "not measured" in card
    assert "predictions/" not in card
    assert not (copy / "export/predictions").exists()


def refusal(run: Path, capsys, *flags: str) -> str:
    assert main(["export", str(run), *flags]) == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert not (run / "export").exists()
    return err


def test_refusals_in_one_line(copy, capsys, monkeypatch) -> None:
    assert "at least one" in refusal(copy, capsys, "--threads", "0")
    assert "no layer is called so" in refusal(copy, capsys, "--no-measure", "--spare", "mlp", "fc9")
    record = json.loads((copy / "run.json").read_text())
    for change, said in (
        ({"kind": "crossval"}, "an adapter a fold and none for all"),
        ({"kind": "sweep"}, "trial-0"),
        ({"stages": {**record["stages"], "evaluate": None}}, f"moontune evaluate {copy}"),
        (
            {"stages": {**record["stages"], "evaluate": None, "train": None}},
            f"moontune run --resume --run-name {copy.name} --output-dir ",
        ),
    ):
        changed = record | change
        changed["stages"] = {k: v for k, v in changed["stages"].items() if v}
        write_json(copy / "run.json", changed)
        assert said in refusal(copy, capsys)
    record["stages"]["evaluate"]["base"]["sha256"] = "0" * 64
    write_json(copy / "run.json", record)
    assert "weights are not those of stage evaluate" in refusal(copy, capsys)
    assert main(["export", str(copy / "nowhere")]) == 2
    assert "is not a run" in capsys.readouterr().err
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert 'pip install "moontune[export]"' in refusal(copy, capsys)


def test_an_adapter_that_does_not_fit_leaves_nothing(copy, capsys) -> None:
    file = copy / "lora_adapter/adapter_model.safetensors"
    state = load_file(file)
    name = next(iter(state))
    save_file(state | {name: torch.full_like(state[name], float("nan"))}, file)
    assert "train again" in refusal(copy, capsys, "--no-measure")
    save_file({k: v for k, v in state.items() if k != name}, file)
    assert "does not fit" in refusal(copy, capsys, "--no-measure")


def test_a_merged_state_of_other_keys_or_shapes_is_refused(fresh_base, run, monkeypatch) -> None:
    wanted = {"a": (2, 3), "b": (4,)}
    refuse_other_tensors(dict(wanted), wanted, Path("x"))
    for found in ({"a": (2, 3)}, wanted | {"c": (1,)}, wanted | {"a": (3, 2)}):
        with pytest.raises(Exception, match="not the base's"):
            refuse_other_tensors(found, wanted, Path("x"))
    import peft

    def kept(self, **_: object) -> torch.nn.Module:  # as if merging had left the wrappers
        return self.base_model.model

    monkeypatch.setattr(peft.PeftModel, "merge_and_unload", kept, raising=False)
    with pytest.raises(Exception, match="tensors are not the base's"):
        merged(fresh_base, run / "lora_adapter")


FAKE_RUNTIME = """
class ModelArch:
    known = {"TINY": 0, "BASE": 1}
    def __class_getitem__(cls, name): return cls.known[name]
class Line:
    def __init__(self, text): self.text = text
class Transcriber:
    def __init__(self, model_path, model_arch):
        self.arch = model_arch
        with open(model_path + "/tokenizer.bin", "rb") as stream:
            if stream.read() == b"broken":
                raise RuntimeError("bad file")
    def transcribe_without_streaming(self, samples, rate):
        assert rate == 16000 and isinstance(samples, list)
        heard = "heard" if self.arch == 0 else "heard by base"
        self.lines = [Line(heard), Line(f" {len(samples)} ")]
        return self
"""


@pytest.fixture
def fake_runtime(tmp_path, monkeypatch) -> Path:
    """A folder for the vendor's runtime, and a stand-in for that in every child process."""
    site = tmp_path / "site"
    (site / "moonshine_voice-9.9.dist-info").mkdir(parents=True)
    (site / "moonshine_voice.py").write_text(FAKE_RUNTIME)
    meta = "Metadata-Version: 2.1\nName: moonshine-voice\nVersion: 9.9\n"
    (site / "moonshine_voice-9.9.dist-info/METADATA").write_text(meta)
    monkeypatch.setenv("PYTHONPATH", str(site))
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        (folder / name).write_text("x")
    return folder


@pytest.mark.parametrize(
    ("lost", "ends", "outcome", "advice"),
    [
        (
            0.0217,
            (-0.02, 0.07),
            "undecided",
            "cannot be told on 46 words: measure it on more",
        ),
        (0.0217, (0.01, 0.04), "worse", "That is more than 0.5: multiply in float32"),
        (0.0, (-0.004, 0.004), "undecided", None),
        (0.002, (0.001, 0.003), "worse", None),
    ],
)
def test_8_bit_is_judged_no_surer_than_its_interval(lost, ends, outcome, advice) -> None:
    from moontune.export.measure import ProductFigures, _of_8_bit

    interval = Interval(*ends)
    row = ProductFigures(
        *("ONNX, 8 bit", 0.4, None, lost, interval, outcome, 46),
        *(7, 5, 5, 0.9, 1, 1.0, 9.0, 0),
    )
    [said, *advised] = _of_8_bit(row)
    assert said.startswith(f"8 bit changes the WER by {100 * lost:+.2f} points (95 % interval ")
    assert said.endswith(", 46 words).")
    assert bool(advised) == (advice is not None)
    assert not advised or advice in advised[0]


def test_the_vendors_runtime_transcribes_clip_by_clip(fake_runtime) -> None:
    from moontune.export.measure import TestClips, in_vendor_runtime, measure_product
    from moontune.export.vendor_runtime import VendorRuntime

    runtime = VendorRuntime(Path(sys.executable), 1)
    assert runtime.version == "9.9"
    steps: list[tuple[int, int]] = []
    clips = [noise(1, 0.5), noise(2, 0.25)]
    rows = [Utterance(name, Path(name), "heard", None, None) for name in "ab"]
    product = measure_product(
        "theirs",
        1,
        in_vendor_runtime(runtime, fake_runtime),
        TestClips(rows, clips, CAP),
        lambda *step: steps.append(step),
    )
    assert [row["hypothesis"] for row in product.rows] == ["heard 8000", "heard 4000"]
    assert [row.get("lines") for row in product.rows] == [["heard", f" {n} "] for n in (8000, 4000)]
    assert steps == [(1, 2), (2, 2)]
    [by_base] = runtime.transcribe(fake_runtime, clips[:1], "BASE")
    assert by_base.text == "heard by base 8000"
    (fake_runtime / "tokenizer.bin").write_text("broken")
    with pytest.raises(Exception, match=r"failed on .*bad file"):
        list(runtime.transcribe(fake_runtime, clips))
    (fake_runtime / "tokenizer.bin").unlink()
    with pytest.raises(Exception, match=r"holds no tokenizer\.bin"):
        list(runtime.transcribe(fake_runtime, clips))


@pytest.mark.parametrize(
    ("layers", "width", "name"), [(6, 288, "TINY"), (8, 416, "BASE"), (2, 32, "TINY")]
)
def test_the_vendors_runtime_is_told_the_models_size(run, layers, width, name) -> None:
    """In an export's card too."""
    from moontune.export.export_card import ExportFacts, card
    from moontune.export.vendor_runtime import runtime_architecture

    config = SimpleNamespace(decoder_num_hidden_layers=layers, hidden_size=width)
    assert runtime_architecture(config) == name
    made = facts(run) | {"vendor_architecture": name}
    assert f"model_arch=ModelArch.{name})" in card(ExportFacts.from_json(made), None)


def test_a_row_of_the_vendors_runtime_or_a_remark(
    copy, fake_runtime, capsys, monkeypatch, tmp_path
) -> None:
    missing = ["--vendor-python", "/nowhere/python"]
    assert "/nowhere/python: has no moonshine-voice" in refusal(copy, capsys, *missing)

    def offline(folder: Path) -> None:
        raise UserError("moonshine-voice cannot be installed")

    monkeypatch.setenv("MOONTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("moontune.export.vendor_runtime._make", offline)
    assert main(["export", str(copy), "--vendor"]) == 0
    said = capsys.readouterr().out
    assert "vendor's runtime was not measured: moonshine-voice cannot be installed" in said
    assert len(facts(copy)["table"]) == 5
    assert main(["export", str(copy), "--overwrite", "--vendor-python", sys.executable]) == 0
    row = facts(copy)["table"][5]
    assert row["name"] == "moonshine-voice, tuned"
    assert facts(copy)["vendor_runtime"] == "moonshine-voice 9.9"
    assert row["clips"] == len(read_run_manifest(copy / "manifests/test.jsonl"))
    assert (copy / "export/predictions/moonshine-voice-tuned.jsonl").is_file()
