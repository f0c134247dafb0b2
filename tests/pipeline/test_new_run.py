"""What stands in the way of a new run, told before anything is spent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import moontune
from moontune.errors import UserError
from moontune.pipeline.preflight import check_data
from moontune.pipeline.run_folder.creating import create_run, new_run_path


@pytest.mark.parametrize("kind", ["run", "crossval", "sweep"])
def test_a_run_that_is_there_is_named_with_the_command_that_goes_on(tmp_path, kind) -> None:
    config = moontune.configure(output_dir=tmp_path, run_name="r")
    create_run(config, tmp_path / "r", "r", [kind], kind)
    with pytest.raises(UserError) as told:
        new_run_path(config, overwrite=False)
    goes_on = f"moontune {kind} --resume --run-name r --output-dir {tmp_path}"
    assert str(told.value).endswith(f"go on with it: {goes_on}")
    assert new_run_path(config, overwrite=True) == tmp_path / "r"


def test_a_folder_of_other_things_is_not_offered_to_be_replaced(tmp_path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/thesis.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"not a run of moontune.*give another --run-name$"):
            new_run_path(moontune.configure(output_dir=tmp_path, run_name="r"), overwrite=overwrite)


def test_rows_that_cannot_be_used_are_told_where_too_few_are_left(tmp_path: Path) -> None:
    """ "Add more" alone sends somebody with fifty rows the wrong way."""
    rows = [{"audio_filepath": f"{i}.wav", "text": "Words."} for i in range(2)]
    rows += [{"audio_filepath": f"{i}.wav", "text": ["Words."]} for i in range(48)]
    file = tmp_path / "m.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(UserError) as told:
        check_data(moontune.configure(manifest=file))
    assert "3 clips are needed for three splits, found 2; add more" in str(told.value)
    assert f"of 48 more rows no use can be made, e.g. {file}:3: text must be" in str(told.value)
    file.write_text("\n".join(map(json.dumps, rows[:2])))
    with pytest.raises(UserError, match=r"found 2; add more$"):
        check_data(moontune.configure(manifest=file))
