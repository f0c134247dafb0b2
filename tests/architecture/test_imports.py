"""What imports what: the floors of the house, and that what needs no torch loads none."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = ("torch", "transformers", "peft", "datasets", "optuna")


def modules_that_load_no_torch() -> list[str]:
    """All but those that pyproject allows to, and those that import one of these."""
    ignores = PYPROJECT["tool"]["ruff"]["lint"]["per-file-ignores"]
    patterns = [
        p for pattern, rules in ignores.items() if "TID253" in rules for p in braces(pattern)
    ]
    paths = {
        ".".join(p.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): p
        for p in (ROOT / "src").rglob("*.py")
        if p.name != "__main__.py"
    }
    heavy = {
        name
        for name, path in paths.items()
        if any(fnmatch(path.relative_to(ROOT).as_posix(), pattern) for pattern in patterns)
    }
    assert len(heavy) > 10
    imports = {name: imported(path) & set(paths) for name, path in paths.items()}
    while more := {n for n, names in imports.items() if n not in heavy and names & heavy}:
        heavy |= more
    return sorted(set(paths) - heavy)


def braces(pattern: str) -> list[str]:
    """`a/{b,c}.py` as `a/b.py` and `a/c.py`."""
    head, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    choices, _, tail = rest.partition("}")
    return [f"{head}{choice}{tail}" for choice in choices.split(",")]


def imported(path: Path) -> set[str]:
    """What a module imports when it is loaded."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_packages_import_downward_only_and_without_circles() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout


def test_what_needs_no_torch_loads_none() -> None:
    """All of it in one process, and its cheap work done."""
    modules = modules_that_load_no_torch()
    for package in ("config.schema", "data.manifest", "evaluation.comparison", "report.html.page"):
        assert f"moontune.{package}" in modules
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = {HEAVY!r} & sys.modules.keys()\n"
        "    assert not loaded, f'{name} loads {loaded}'\n"
        "from moontune.data.normalizer import normalize; normalize('x')\n"
        "from moontune.evaluation.error_rates import word_edits; word_edits('a b', 'a')\n"
        f"assert not {HEAVY!r} & sys.modules.keys()\n"
    ).replace(repr(HEAVY), repr(set(HEAVY)))
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("verb", "module"),
    [
        ("run", "moontune.cli.new_run"),
        ("train", "moontune.cli.stage_verbs"),
        ("push", "moontune.export.push"),
        ("export", "moontune.export.command"),
        ("record", "moontune.record.command"),
        ("serve", "moontune.serve.command"),
        ("review", "moontune.review.command"),
    ],
)
def test_a_slow_verb_is_heard_before_its_libraries_load(verb: str, module: str) -> None:
    code = (
        "import sys, moontune.cli as cli, moontune.cli.dispatch\n"
        "def heard(stream): sys.exit(', '.join({'numpy', 'rich', MODULE} & sys.modules.keys()))\n"
        "sys.modules['moontune.cli.dispatch'].starting = heard\n"
        f"cli.main([{verb!r}, 'x', 'a/b'])\n"
        "sys.exit('nothing is said')"
    ).replace("MODULE", repr(module))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stderr.strip(), done.stdout) == ("", "")


@pytest.mark.parametrize("verb", ["evaluate", "train"])
def test_a_missing_stage_is_told_before_torch_is_loaded(verb: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from moontune.config.schema import RunConfig\n"
        "from moontune.pipeline.run_folder.creating import create_run\n"
        "import moontune.cli as cli\n"
        f"create_run(RunConfig(), Path({str(tmp_path)!r}), 'r', ['sample'], 'run')\n"
        f"assert cli.main([{verb!r}, {str(tmp_path)!r}]) == 2\n"
        f"sys.exit(', '.join({set(HEAVY)!r} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "needs `moontune sample` first" in done.stderr


@pytest.mark.parametrize(
    ("words", "says", "heavy"),
    [
        (["--help"], "\n  train ", {*HEAVY, "numpy", "tyro", "rich"}),
        (["run", "--help-all"], "0.98", {*HEAVY, "tyro"}),  # a default, from the dataclass
        (["doctor", "--help"], "--device", {*HEAVY, "numpy"}),
        (["score", "--help"], "--against", set(HEAVY)),
    ],
)
def test_help_loads_nothing_heavy(words: list[str], says: str, heavy: set[str]) -> None:
    code = (
        "import sys, moontune.cli as cli\n"
        f"try: cli.main({words!r})\n"
        "except SystemExit: pass\n"
        f"sys.exit(', '.join({heavy!r} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout


PACKAGES = sorted(p.parent for p in (ROOT / "src/moontune").rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES[1:], ids=lambda p: p.name)
def test_a_package_says_what_it_is_and_lists_its_files(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    listed = {line.split()[0] for line in docstring.splitlines() if line.startswith("    ")}
    files = {p.stem for p in package.glob("*.py") if not p.stem.startswith("__")}
    assert docstring.split("\n")[0].endswith(".")
    assert files <= listed, f"not listed in {package}/__init__.py: {files - listed}"
    assert len(files) <= 13, "a folder shows about a dozen files"


def test_the_page_of_the_architecture_has_every_package() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for package in PACKAGES[1:]:
        if package.parent == ROOT / "src/moontune":
            assert f"\n| `{package.name}/` |" in text, package.name
    for path in re.findall(r"`((?:\w+/)+\w+)(?:\.py)?`", text):
        if path.split("/")[0] in {p.name for p in PACKAGES} and not path.endswith("X"):
            place = ROOT / "src/moontune" / path
            assert place.is_dir() or place.with_suffix(".py").is_file(), path
