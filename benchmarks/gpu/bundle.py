"""What a machine without a network is given: small packages as wheels, the model, a few clips."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

# What the checks import beside torch, transformers, peft and what these bring along themselves.
SMALL = (
    "tyro",
    "docstring-parser",
    "typeguard",
    "tomli-w",
    "soundfile",
    "cffi",
    "pycparser",
    "soxr",
    "jiwer",
    "rapidfuzz",
    "whisper-normalizer",
    "more-itertools",
    "pytest",
    "pluggy",
    "iniconfig",
    "hypothesis",
    "sortedcontainers",
    "filelock",
)
CLIPS = 32


def environment(root: Path, wheels: Path | None, out: Path) -> dict[str, str]:
    """The environment of the checks: the repository, and wheels of packages that lack here."""
    site = out / "site"
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir()
    for wheel in sorted(wheels.glob("*.whl")) if wheels else []:
        if not _installed(wheel.name.split("-")[0]):
            _unzip(wheel, site)
    if not _installed("moontune"):  # it is run from its sources, and asks for its own version
        version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
        facts = site / f"moontune-{version}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: moontune\nVersion: {version}\n"
        )
    paths = [root, root / "src", site, os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, filter(None, paths))),
        "PYTHONWARNINGS": "ignore",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def pack(file: Path, model: Path | None, clips: Path | None, python: str) -> None:
    """Make a bundle: wheels for Linux on x86-64, a float16 copy of the model, short clips."""
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), model, clips, python)
        shutil.make_archive(str(file.with_suffix("")), "zip", folder)
    print(f"{file.with_suffix('.zip')}: {file.with_suffix('.zip').stat().st_size / 2**20:.1f} MiB")


def unpacked(bundle: Path, out: Path) -> Path:
    """The folder of a bundle, which may be one already."""
    if bundle.is_dir():
        return bundle
    folder = out / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    _unzip(bundle, folder)
    return folder


def _unzip(file: Path, folder: Path) -> None:
    """Write the files of an archive below a folder, and none outside of it."""
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            target = (folder / member.filename).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise SystemExit(f"{file}: holds a path that leads out of it, {member.filename}")
            if not member.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))


def _fill(folder: Path, model: Path | None, clips: Path | None, python: str) -> None:
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels,
            "--only-binary", ":all:", "--python-version", python,
            "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64",
            *SMALL,
        ],
        check=True,
    )  # fmt: skip
    if model:
        make_model(model, folder / "model")
    if clips:
        _copy_clips(clips, folder / "clips")


def make_model(source: Path, folder: Path) -> None:
    """A float16 copy of a model's folder."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, folder, dirs_exist_ok=True)
    file = folder / "model.safetensors"
    file.chmod(0o644)
    weights = load_file(file)
    save_file({n: w.to(torch.float16) for n, w in weights.items()}, file, metadata={"format": "pt"})


def _copy_clips(manifest: Path, folder: Path) -> None:
    """Clips of 1.5 to 4 s, of as many speakers as there are, with a manifest."""
    rows = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
    rows = [row for row in rows if 1.5 <= row["duration"] <= 4]
    by_speaker: dict[str, list[dict]] = {}
    for row in rows:
        by_speaker.setdefault(row["speaker"], []).append(row)
    turns = [
        row
        for turn in range(max(map(len, by_speaker.values())))
        for own in by_speaker.values()
        for row in own[turn : turn + 1]
    ]
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for row in turns[:CLIPS]:
        audio = manifest.parent / row["audio_filepath"]
        shutil.copy(audio, folder / audio.name)
        lines.append(json.dumps(row | {"audio_filepath": audio.name}) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))
