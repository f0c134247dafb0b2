from __future__ import annotations

from moontune.data.normalizer import normalize, normalizer_name


def test_normalizer_is_whispers_and_named_with_its_version() -> None:
    assert normalize("Mr. O'Neil's colour -- is TWENTY-ONE!") == normalize(
        "mister o'neil's color is 21"
    )
    assert normalizer_name().startswith("whisper_normalizer.english.EnglishTextNormalizer 0.")


def test_an_ellipsis_is_no_word() -> None:
    assert normalize("If only this window wasn't boarded up...") == (
        "if only this window was not boarded up"
    )
    assert normalize("...") == normalize("") == ""
    assert normalize("It costs $5 or 20 percent. No. 7, 3.5!") == "it costs $5 or 20% no 7 3.5"
