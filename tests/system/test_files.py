from __future__ import annotations

from pathlib import Path

import pytest

from moontune.system.files import write_text


def test_what_cannot_be_written_is_named_and_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(OSError) as raised:
            write_text(place, "text")
        assert raised.value.filename == str(place)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
