"""The text that has a say in a consensus: a run's own by default, another, or none."""

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
from moontune.evaluation.domain_text.results import WeighedText
from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.export.command import _write_words
from moontune.models.language_model import LanguageModel
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.serve.command import ServeArgs, _with_words
from moontune.system.files import file_sha256, write_json, write_text
from moontune.transcribe.own_words.domain_text import AskedText, TextToUse, text_to_use
from moontune.transcribe.recognizer import Recognizer
from moontune.web.model_sources import model_sources


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch) -> RunDir:
    """With a text of its own, of weight 0.05 for the tuned model and 0.2 for the base."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    made = RunDir(Path("outputs/r"))
    write_text(made.words.domain_text, "Hoist the jib, let go.\nThe anchor holds.\n")
    choose(made, base=0.2, tuned=0.05)
    write_text(Path("other.txt"), "Rain fell.\n")
    return made


def choose(run: RunDir, **weights: float) -> None:
    for which, weight in weights.items():
        chosen = WeighedText(
            ChosenWeight(weight, "so it is"), {}, file_sha256(run.words.domain_text)
        )
        write_json(run.words.weighed_text_file(which), chosen.to_json())


def asked(model: Path, *of: object, which: str = "tuned") -> TextToUse:
    return text_to_use(str(model), AskedText("consensus", *of), which)  # type: ignore[arg-type]


def weighed(model: LanguageModel | None, text: str = "Hoist the jib, let go.") -> float | None:
    """The weight of a language model, and that it knows a text."""
    if model is None:
        return None
    assert model.log_probability(text) > model.log_probability("Nobody ever said so at all.")
    return round(model.bonus(text) / model.log_probability(text), 6)


def test_a_runs_own_text_with_the_weight_it_chose_is_the_default(run: RunDir) -> None:
    found = asked(run.path)
    assert weighed(found.language_model) == 0.05
    assert found.says == (
        "domain text: the run's own of 2 sentences, weight 0.05 (--no-domain-text leaves it out)"
    )
    assert weighed(asked(run.path, which="base").language_model) == 0.2
    run.words.weighed_text_file("tuned").unlink()  # begun with a text, and not evaluated yet
    assert weighed(asked(run.path).language_model) == 0.1
    run.words.weighed_text_file("tuned").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        asked(run.path)


def test_a_text_that_was_changed_since_goes_by_the_usual_weight(run: RunDir) -> None:
    """Whatever was chosen for the one before, which may have been to leave it out."""
    choose(run, base=0.2, tuned=0.0)
    assert asked(run.path).language_model is None
    write_text(run.words.domain_text, "Hoist the jib, let go.\n")
    assert weighed(asked(run.path).language_model) == 0.1


def test_another_text_takes_its_place_and_it_can_be_turned_off(run: RunDir) -> None:
    found = asked(run.path, Path("other.txt"))
    assert (weighed(found.language_model, "Rain fell."), found.says) == (0.1, "")
    assert asked(run.path, None, True) == TextToUse(None)
    with pytest.raises(UserError, match="--domain-text and --no-domain-text exclude each other"):
        asked(run.path, Path("other.txt"), True)
    assert text_to_use(str(run.path), AskedText("greedy")) == TextToUse(None)
    with pytest.raises(UserError, match="add --decoding consensus"):
        text_to_use(str(run.path), AskedText("greedy", Path("other.txt")))


def test_where_every_weight_did_harm_a_line_says_so(run: RunDir) -> None:
    choose(run, tuned=0.0)
    found = asked(run.path)
    assert found.language_model is None
    assert found.says == (
        "domain text: the run's own of 2 sentences is not used: so it is (--domain-text "
        "outputs/r/domain_text.txt uses it)"
    )
    assert weighed(asked(run.path, run.words.domain_text).language_model) == 0.1


def test_an_export_has_it_for_its_plain_weights(run: RunDir) -> None:
    export = Path("export")
    (export / "merged").mkdir(parents=True)
    write_json(export / "export.json", {})
    assert asked(export / "merged") == TextToUse(None)
    _write_words(run, export)
    found = asked(export / "merged")
    assert weighed(found.language_model) == 0.05
    assert "the export's own of 2 sentences, weight 0.05" in found.says


def test_transcribe_says_in_a_line_what_it_goes_by(run: RunDir, monkeypatch, capsys) -> None:
    given: list[LanguageModel | None] = []

    def opened(*_: object, language_model: LanguageModel | None = None, **more: object):
        given.append(language_model)
        return Recognizer("r", "run", "cpu", TokenCap(6.5, 8), None, lambda clips, cap: [])

    monkeypatch.setattr(recognizers, "open_recognizer", opened)
    write_flac(Path("a.flac"), 0 * noise(1, 1.0))
    words = ["transcribe", "a.flac", "--model", str(run.path)]
    assert main([*words, "--decoding", "consensus"]) == 0
    assert capsys.readouterr().err.count("the run's own of 2 sentences, weight 0.05") == 1
    assert main(words) == 0
    assert main([*words, "--decoding", "consensus", "--no-domain-text"]) == 0
    assert "domain text" not in capsys.readouterr().err
    assert list(map(weighed, given)) == [0.05, None, None]


def test_served_models_go_by_it_each_with_its_own_weight(run: RunDir) -> None:
    told: list[str] = []
    sources = model_sources(str(run.path), None)

    def weights(**more: object) -> list[float | None]:
        args = ServeArgs(str(run.path), **more)  # type: ignore[arg-type]
        return [weighed(s.language_model) for s in _with_words(args, sources, told.append)]

    assert weights(decoding="consensus") == [0.2, 0.05]
    assert [line.partition(":")[0] for line in told] == ["base", "tuned"]
    assert weights(decoding="consensus", no_domain_text=True) == [None, None]
    assert weights(decoding="consensus", domain_text=run.words.domain_text) == [0.1, 0.1]
    assert weights() == [None, None]
    with pytest.raises(UserError, match="add --decoding consensus"):
        weights(domain_text=run.words.domain_text)
