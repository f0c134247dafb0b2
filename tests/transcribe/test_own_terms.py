"""The list that a model writes: a run's own by default, another, or none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import noise

import moontune.transcribe.recognizer as recognizers
from moontune.cli.dispatch import main
from moontune.config.schema import TokenCap
from moontune.data.audio import write_flac
from moontune.errors import UserError
from moontune.evaluation.key_terms.bonus import ChosenBonus
from moontune.evaluation.key_terms.results import WrittenTerms
from moontune.export.command import _write_words
from moontune.languages.table import ENGLISH, language_named
from moontune.models.key_terms.weighing import KeyTerms
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.serve.command import ServeArgs, _with_words
from moontune.system.files import write_json, write_text
from moontune.transcribe.own_words.key_terms import AskedTerms, TermsToWrite, terms_to_write
from moontune.transcribe.recognizer import Recognizer
from moontune.web.model_sources import model_sources


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch) -> RunDir:
    """With a list of its own, written with bonus 1 by the tuned model and 3 by the base."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    made = RunDir(Path("outputs/r"))
    write_text(made.words.key_terms, "Drascula\nAzura\n")
    choose(made, base=3.0, tuned=1.0)
    write_text(Path("other.txt"), "Floda\n")
    return made


def choose(run: RunDir, **bonuses: float | None) -> None:
    for which, bonus in bonuses.items():
        chosen = WrittenTerms(ChosenBonus(bonus, "so it is"), {}, "")
        write_json(run.words.written_terms_file(which), chosen.to_json())


def asked(run: RunDir, *of: object, which: str = "tuned", code: str = "en") -> TermsToWrite:
    return terms_to_write(str(run.path), AskedTerms(*of), lambda: language_named(code), which)  # type: ignore[arg-type]


def names(found: TermsToWrite) -> tuple[list[str], float] | None:
    terms = found.terms
    return terms and ([t.text for t in terms.terms], terms.bonus)


def test_a_runs_own_list_with_the_bonus_it_chose_is_the_default(run: RunDir) -> None:
    found = asked(run)
    assert names(found) == (["Drascula", "Azura"], 1.0)
    line = "key terms: the run's own list of 2 terms, bonus 1 (--no-key-terms leaves it out)"
    assert found.says == line
    assert names(asked(run, which="base")) == (["Drascula", "Azura"], 3.0)
    assert names(asked(run, None, 2.5)) == (["Drascula", "Azura"], 2.5)


def test_another_list_takes_its_place_and_it_can_be_turned_off(run: RunDir) -> None:
    assert asked(run, Path("other.txt")) == TermsToWrite(asked(run, Path("other.txt")).terms)
    assert names(asked(run, Path("other.txt"))) == (["Floda"], 2.0)
    assert asked(run, None, None, True) == TermsToWrite(None)
    with pytest.raises(UserError, match="--key-terms and --no-key-terms exclude each other"):
        asked(run, Path("other.txt"), None, True)


def test_where_the_own_list_is_not_written_a_line_says_so(run: RunDir) -> None:
    assert asked(run, code="ja").says.endswith("left out, as Japanese has no spaces between words")
    choose(run, tuned=None)
    found = asked(run)
    assert found.terms is None
    assert found.says.endswith("is left out: so it is (--key-terms-bonus 2 writes it)")
    assert names(asked(run, None, 2.0)) == (["Drascula", "Azura"], 2.0)
    run.words.written_terms_file("tuned").unlink()  # begun with a list, and not evaluated yet
    assert names(asked(run)) == (["Drascula", "Azura"], 2.0)
    run.words.written_terms_file("tuned").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        asked(run)


def test_an_export_has_it_and_an_onnx_pair_leaves_it_out_with_a_line(run: RunDir) -> None:
    export = Path("export")
    for name in ("merged", "onnx"):
        (export / name).mkdir(parents=True)
    (export / "merged/config.json").touch()
    for name in ("encoder_model.onnx", "decoder_model_merged.onnx"):
        (export / "onnx" / name).touch()
    write_json(export / "export.json", {})
    assert asked(RunDir(export / "merged")) == TermsToWrite(None)
    _write_words(run, export)
    found = asked(RunDir(export / "merged"))
    assert names(found) == (["Drascula", "Azura"], 1.0)
    assert "the export's own list of 2 terms, bonus 1" in found.says
    found = asked(RunDir(export / "onnx"))
    assert found.terms is None
    assert "the export's own list of 2 terms is left out, as an ONNX pair writes none" in found.says


def test_transcribe_says_in_a_line_what_it_writes(run: RunDir, monkeypatch, capsys) -> None:
    given: list[KeyTerms | None] = []

    def opened(*_: object, key_terms: KeyTerms | None = None, **more: object) -> Recognizer:
        given.append(key_terms)
        return Recognizer("r", "run", "cpu", TokenCap(6.5, 8), None, lambda clips, cap: [])

    monkeypatch.setattr(recognizers, "open_recognizer", opened)
    write_flac(Path("a.flac"), 0 * noise(1, 1.0))
    words = ["transcribe", "a.flac", "--model", str(run.path)]
    assert main(words) == 0
    assert capsys.readouterr().err.count("the run's own list of 2 terms, bonus 1") == 1
    assert main([*words, "--no-key-terms"]) == 0
    assert "key terms" not in capsys.readouterr().err
    assert [known and known.bonus for known in given] == [1.0, None]


def test_served_models_write_it_each_with_its_own_bonus(run: RunDir) -> None:
    told: list[str] = []
    sources = model_sources(str(run.path), None)
    found = _with_words(ServeArgs(str(run.path)), sources, told.append)
    assert [s.key_terms and s.key_terms.bonus for s in found] == [3.0, 1.0]
    assert [line.partition(":")[0] for line in told] == ["base", "tuned"]
    off = _with_words(ServeArgs(str(run.path), no_key_terms=True), sources, told.append)
    assert [s.key_terms for s in off] == [None, None]
    given = ServeArgs(str(run.path), key_terms=Path("other.txt"))
    other = _with_words(given, sources, told.append)
    assert [s.key_terms and s.key_terms.bonus for s in other] == [2.0, 2.0]
    assert len(told) == 2
    assert ENGLISH.spaced
