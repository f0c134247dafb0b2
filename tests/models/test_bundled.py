"""The bundled model is the one in the wheel, complete, and its cache is whole or absent."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from moontune.data.sources import bundled_speech
from moontune.errors import UserError
from moontune.models import bundled
from moontune.system import cache as paths
from moontune.system import package_files

SHARED = Path(__file__).resolve().parents[3] / "shared"
REFERENCE = SHARED / "reference" / "bundled_moonshine_tiny.json"
PUBLISHED = SHARED / "models" / "moonshine-tiny"
needs_reference = pytest.mark.skipif(not REFERENCE.is_file(), reason=f"no {REFERENCE}")
needs_published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no {PUBLISHED}")

# From the reference JSON: what the model writes, greedy, one clip at a time.
TRANSCRIPTS = {
    "beckett.wav": "Ever tried, ever failed, no matter, try again, fail again, fail better.",
    "two_cities.wav[0:10s]": (
        "It was the best of times. It was the worst of times. It was the age of wisdom. It was "
        "the age of foolishness. It was the epoch of bullishness."
    ),
    "two_cities.wav[10:20s]": (
        "Eph, it was the epoch of incredulity. It was a season of light. It was a season of "
        "darkness. It was the spring of hope. It was the winter of death."
    ),
    "two_cities.wav[20:30s]": (
        "spare. We had everything before us, we had nothing before us. We were all going direct "
        "to heaven, we were all going direct the other way. In short, the"
    ),
    "two_cities.wav[30:40s]": (
        "Period was so far like the present period that some of its noisiest authorities "
        "insisted on its being received for good or for evil in the superlative."
    ),
}
# From the reference JSON: shape, mean and standard deviation of one tensor of every kind.
TENSORS = {
    "model.encoder.conv1.weight": ((288, 1, 127), 4.287329622708257e-05, 0.19271575732569673),
    "model.encoder.conv3.bias": ((288,), -0.061291787656652254, 0.31057334814680604),
    "model.encoder.groupnorm.weight": ((288,), 0.5173438897554661, 0.3948301160334284),
    "model.encoder.groupnorm.bias": ((288,), 5.5243082839674505e-05, 0.0014015721833189436),
    "model.encoder.layers.0.mlp.fc1.weight": ((1152, 288), 0.00321420577641, 0.193156420375695),
    "model.encoder.layers.3.input_layernorm.weight": ((288,), 0.77184683043095, 0.12406569823072),
    "model.decoder.embed_tokens.weight": ((32768, 288), 0.017244890173770, 0.194237010012175),
    "model.decoder.layers.2.encoder_attn.k_proj.weight": (
        (288, 288),
        -0.00023851041960145,
        0.14037951958770,
    ),
    # The one matrix whose name in the graph breaks the pattern.
    "model.decoder.layers.3.mlp.fc1.weight": ((2304, 288), -6.338246059082e-05, 0.15701971014468),
    "model.decoder.layers.3.mlp.fc1.bias": ((2304,), -0.06876426907253, 0.164089193143196),
    "model.decoder.norm.weight": ((288,), 1.55614844316409, 0.192360786782851),
}


@pytest.fixture(scope="module")
def packages() -> None:
    for name in ("moonshine-voice", "useful-moonshine-onnx", "onnxruntime"):
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed (the extra `bundled`)")


@pytest.fixture(scope="module")
def model_dir(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled.bundled_model_dir(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def model(model_dir: Path) -> Any:
    from transformers import MoonshineForConditionalGeneration

    return MoonshineForConditionalGeneration.from_pretrained(model_dir).eval()


@pytest.fixture(scope="module")
def processor(model_dir: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(model_dir)


@pytest.fixture
def fake_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both packages as small stand-in files with their digests recorded; returns their root."""
    files = [bundled._ENCODER, bundled._DECODER, bundled._TOKENIZER]
    files += [f"moonshine_voice/assets/{name}" for name in bundled_speech._RECORDINGS]
    root = tmp_path / "site-packages"
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    record = [_record_entry(name, name.encode()) for name in files]

    def distribution(name: str) -> Any:
        version = {"moonshine-voice": "0.0.4", "useful-moonshine-onnx": "20251121"}[name]
        return SimpleNamespace(version=version, files=record, locate_file=lambda f: root / f)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    return root


def _record_entry(name: str, content: bytes) -> importlib.metadata.PackagePath:
    import base64

    entry = importlib.metadata.PackagePath(name)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    entry.hash = importlib.metadata.FileHash(f"sha256={digest}")
    return entry


def _clips() -> dict[str, np.ndarray]:
    """The recordings at 16 kHz, cut as the reference JSON names them."""
    from moontune.data.audio import read_audio

    samples = {path.name: read_audio(path) for path, _ in bundled_speech.bundled_recordings()}
    clips = {}
    for name in TRANSCRIPTS:
        cut = re.fullmatch(r"([\w.]+)(?:\[(\d+):(\d+)s\])?", name)
        assert cut is not None
        start_s, end_s = int(cut[2] or 0), int(cut[3] or 60)
        clips[name] = samples[cut[1]][start_s * 16_000 : end_s * 16_000]
    return clips


def _transcribe(model: Any, processor: Any, samples: np.ndarray) -> str:
    import torch

    inputs = processor(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(
            **inputs, do_sample=False, max_new_tokens=int(len(samples) / 16_000 * 6.5) + 2
        )
    return processor.tokenizer.decode(tokens[0], skip_special_tokens=True)


# --- the model


def test_tensors_have_the_reference_shape_mean_and_std(model: Any) -> None:
    state = model.state_dict()
    for name, (shape, mean, std) in TENSORS.items():
        value = state[name].double()
        assert tuple(value.shape) == shape, name
        assert value.mean().item() == pytest.approx(mean, rel=1e-4, abs=1e-8), name
        assert value.std().item() == pytest.approx(std, rel=1e-5), name


@needs_reference
def test_every_tensor_matches_the_reference_file(model: Any) -> None:
    reference = json.loads(REFERENCE.read_bytes())
    assert reference["transcripts"] == TRANSCRIPTS  # the copy above is the file's
    state = model.state_dict()
    assert set(state) - {"proj_out.weight"} == set(reference["tensors"])
    for name, expected in reference["tensors"].items():
        value = state[name].double()
        assert list(value.shape) == expected["shape"], name
        assert value.mean().item() == pytest.approx(expected["mean"], rel=1e-4, abs=1e-8), name
        assert value.std().item() == pytest.approx(expected["std"], rel=1e-5), name


def test_transcripts_of_the_wheels_recordings_are_the_reference_ones(
    model: Any, processor: Any
) -> None:
    written = {name: _transcribe(model, processor, clip) for name, clip in _clips().items()}
    assert written == TRANSCRIPTS


def test_encoder_agrees_with_onnxruntime_on_the_graph_it_came_from(model: Any) -> None:
    import onnxruntime
    import torch

    samples = _clips()["beckett.wav"][None]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(bundled._sources()["encoder"].path), options)
    mask = np.ones(samples.shape, np.int64)
    (theirs,) = session.run(None, {"input_values": samples, "attention_mask": mask})
    with torch.inference_mode():
        ours = model.model.encoder(torch.from_numpy(samples)).last_hidden_state.numpy()
    # Their activations are 8 bit too, so equal only to a few per cent: 4.4 % measured.
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(ours) < 0.06


def test_output_matrix_is_the_embedding_and_parameters_are_counted_once(model: Any) -> None:
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
    assert sum(p.numel() for p in model.parameters()) == 27_092_736
    assert {str(p.dtype) for p in model.parameters()} == {"torch.float32"}


def test_token_ids_are_the_published_ones(model: Any) -> None:
    config, generation = model.config, model.generation_config
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 2)
    assert (config.decoder_start_token_id, config.max_position_embeddings) == (1, 194)
    assert (generation.eos_token_id, generation.max_length) == (2, 194)


@needs_published
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "generation_config.json",
        "processor_config.json",
        "tokenizer_config.json",
        "tokenizer.json",
    ],
)
def test_config_files_equal_the_published_ones(model_dir: Path, name: str) -> None:
    def content(folder: Path) -> dict[str, Any]:
        loaded = json.loads((folder / name).read_bytes())
        # The release that wrote it, and how that folder's tokenizer was once loaded.
        for key in ("transformers_version", "is_local", "local_files_only"):
            loaded.pop(key, None)
        return loaded

    assert content(model_dir) == content(PUBLISHED)


def test_processor_round_trip(processor: Any) -> None:
    tokens = processor.tokenizer("Hello world").input_ids
    assert tokens == [1, 15043, 3186]  # BOS, no EOS
    assert processor.tokenizer.decode(tokens, skip_special_tokens=True) == "Hello world"
    assert processor(text="Hello world").input_ids == tokens
    loud = np.full(16_000, 0.25, np.float32)
    inputs = processor(loud, sampling_rate=16_000, return_tensors="np")
    assert np.array_equal(inputs["input_values"][0], loud)  # not normalised


def test_recordings_say_what_their_texts_say(packages: None) -> None:
    texts = {path.name: text for path, text in bundled_speech.bundled_recordings()}
    assert all(path.is_file() for path, _ in bundled_speech.bundled_recordings())
    for name, text in texts.items():
        heard = " ".join(t for clip, t in TRANSCRIPTS.items() if clip.startswith(name))
        said_words, heard_words = (re.findall(r"[a-z]+", t.lower()) for t in (text, heard))
        assert difflib.SequenceMatcher(None, said_words, heard_words).ratio() > 0.9, name


# --- a model that is not quite the expected one is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("model.encoder.layers.2.mlp.fc2.bias"), "Missing key.*2.mlp.fc2.bias"),
        (lambda w: w.update({"model.extra": np.zeros(3, np.float32)}), "Unexpected.*model.extra"),
        (
            lambda w: w.update({"model.decoder.norm.weight": np.zeros(287, np.float32)}),
            "size mismatch.*decoder.norm.weight",
        ),
        (lambda w: w.update({"proj_out.weight": w["proj_out.weight"] + 1}), "untied"),
    ],
)
def test_other_tensors_than_the_models_are_an_error(
    packages: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, np.ndarray]], Any],
    message: str,
) -> None:
    read = bundled._read_weights

    def changed(sources: dict[str, Any]) -> dict[str, np.ndarray]:
        weights = read(sources)
        change(weights)
        return weights

    monkeypatch.setattr(bundled, "_read_weights", changed)
    with pytest.raises(UserError, match=message) as raised:
        bundled.bundled_model_dir(tmp_path)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


# --- the packages


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def distribution(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    for call in (lambda: bundled.bundled_model_dir(tmp_path), bundled_speech.bundled_recordings):
        with pytest.raises(UserError, match=r"moonshine-voice; .*moontune\[bundled\]"):
            call()


def test_other_version_names_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = SimpleNamespace(version="0.1.5")
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: found)
    with pytest.raises(UserError, match=r"needs moonshine-voice 0\.0\.4, found 0\.1\.5.*install"):
        bundled.bundled_model_dir(tmp_path)


def test_missing_file_names_it(fake_packages: Path, tmp_path: Path) -> None:
    (fake_packages / bundled._DECODER).unlink()
    with pytest.raises(UserError, match=r"without .*decoder_model_merged\.ort; reinstall"):
        bundled.bundled_model_dir(tmp_path / "cache")


def test_damaged_file_is_not_built_from(fake_packages: Path, tmp_path: Path) -> None:
    (fake_packages / bundled._ENCODER).write_bytes(b"cut short")
    with pytest.raises(UserError, match=r"encoder_model\.ort is damaged.*reinstall"):
        bundled.bundled_model_dir(tmp_path / "cache")


def test_missing_onnxruntime_names_the_extra(
    fake_packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = "onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession"
    monkeypatch.setitem(sys.modules, reader, None)
    with pytest.raises(UserError, match=r"onnxruntime.*moontune\[bundled\]"):
        bundled.bundled_model_dir(tmp_path / "cache")


def test_unwritable_cache_says_where_to_point(fake_packages: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot build.*MOONTUNE_CACHE"):
        bundled.bundled_model_dir(tmp_path / "file" / "cache")


def test_digest_is_computed_where_the_package_records_none(fake_packages: Path) -> None:
    recorded = bundled._sources()
    package = SimpleNamespace(files=None, locate_file=lambda file: fake_packages / file)
    computed: Any = package_files.package_file(package, "moonshine-voice", bundled._ENCODER)  # type: ignore[arg-type]
    assert dataclasses.asdict(computed) == dataclasses.asdict(recorded["encoder"])


# --- the cache


def test_second_call_neither_builds_nor_imports_torch(model_dir: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from moontune.models import bundled
        bundled._build = None
        print(bundled.bundled_model_dir(Path({str(model_dir.parent)!r})))
        heavy = "torch transformers onnxruntime numpy moonshine_voice moonshine_onnx"
        print([name for name in heavy.split() if name in sys.modules])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    folder, imported = run.stdout.splitlines()
    assert folder == str(model_dir)
    assert imported == "[]"


def test_a_build_prints_nothing_and_leaves_the_random_state(
    packages: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    before = torch.get_rng_state()
    bundled.bundled_model_dir(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", ["cut", "removed", "unmarked"])
def test_a_damaged_folder_is_built_again_to_the_same_bytes(
    model_dir: Path, tmp_path: Path, damage: str
) -> None:
    import shutil

    folder = tmp_path / model_dir.name
    shutil.copytree(model_dir, folder)
    match damage:
        case "cut":
            os.truncate(folder / "model.safetensors", 1_000_000)
        case "removed":
            (folder / "tokenizer.json").unlink()
        case _:
            (folder / paths.MARKER).unlink()
    assert bundled.bundled_model_dir(tmp_path) == folder
    names = sorted(path.name for path in model_dir.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert (folder / name).read_bytes() == (model_dir / name).read_bytes(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{folder.name}.lock", folder.name]


def test_other_sources_and_other_formats_have_their_own_folder(
    fake_packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "_build", lambda sources, folder: None)
    first = bundled.bundled_model_dir(tmp_path)
    assert bundled.bundled_model_dir(tmp_path) == first
    monkeypatch.setattr(bundled, "BUILDER_FORMAT", bundled.BUILDER_FORMAT + 1)
    assert bundled.bundled_model_dir(tmp_path) != first


_RACE = """
    import sys, time
    from pathlib import Path
    if sys.argv[2] == "without locks":
        sys.modules["fcntl"] = None
    from moontune.system.cache import build_once

    def build(folder):
        with open(sys.argv[1] + "/built", "a") as log:
            log.write("x")
        (folder / "a").write_text("whole")
        time.sleep(0.5)

    print((build_once(Path(sys.argv[1]) / "entry", build) / "a").read_text())
"""


@pytest.mark.parametrize(("locks", "builds"), [("with locks", 1), ("without locks", None)])
def test_processes_at_once_all_get_a_whole_folder(
    tmp_path: Path, locks: str, builds: int | None
) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_RACE), str(tmp_path), locks]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in running] == ["whole\n"] * 3
    if builds is not None:
        assert len((tmp_path / "built").read_text()) == builds
    assert [path.name for path in tmp_path.glob(".entry-*")] == []


def test_a_killed_build_leaves_no_folder_and_its_scratch_is_removed_later(tmp_path: Path) -> None:
    code = f"""
        import os, signal
        from pathlib import Path
        from moontune.system.cache import build_once

        def build(folder):
            (folder / "a").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        build_once(Path({str(tmp_path)!r}) / "entry", build)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=60)
    (scratch,) = tmp_path.glob(".entry-*")
    assert not (tmp_path / "entry").exists()
    two_hours_ago = time.time() - 7200
    os.utime(scratch, (two_hours_ago, two_hours_ago))
    paths.build_once(tmp_path / "entry", lambda folder: None)
    assert (tmp_path / "entry").is_dir()
    assert not scratch.exists()


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise UserError("no")

    with pytest.raises(UserError):
        paths.build_once(tmp_path / "entry", build)
    assert [path.name for path in tmp_path.iterdir()] == [".entry.lock"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MOONTUNE_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"MOONTUNE_CACHE": "~/a"}, "/home/me/a"),
        ({"MOONTUNE_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/moontune"),
        ({"XDG_CACHE_HOME": "not/absolute"}, "/home/me/.cache/moontune"),
        ({}, "/home/me/.cache/moontune"),
    ],
)
def test_cache_dir(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("MOONTUNE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert paths.cache_dir() == Path(expected)
