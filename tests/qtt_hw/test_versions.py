"""Versions that are read, and what is said of others."""

import pytest

from qtt_hw.versions import FileFormat

FORMAT = FileFormat("charts", (1, 2, 3))


def test_every_version_ever_written_is_read() -> None:
    assert [FORMAT.check(version) for version in (1, 2, 3)] == [1, 2, 3] and FORMAT.written == 3


@pytest.mark.parametrize("version", [4, 10**30])
def test_newer_ones_are_refused_as_such(version: int) -> None:
    for refuse in (FORMAT.check, FORMAT.refuse_newer):
        with pytest.raises(ValueError) as caught:
            refuse(version)
        text = f"version {version} was written by a newer qtt-hw; this one reads charts of versions 1, 2 and 3"
        assert str(caught.value) == text


@pytest.mark.parametrize("version", [0, -1, "2", True, None, 1.0, [2], {}])
def test_what_is_no_version_is_refused(version: object) -> None:
    FORMAT.refuse_newer(version)
    with pytest.raises(ValueError) as caught:
        FORMAT.check(version)
    assert str(caught.value) == f"version: {version!r} is not known; charts of versions 1, 2 and 3 are read"
