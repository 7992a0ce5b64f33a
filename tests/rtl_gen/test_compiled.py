"""C++ compiled once: kept, used again, and refused in one line."""

import pytest

from rtl_gen.compiled import load_library


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "answer.cpp"
    path.write_text('extern "C" int answer() { return 42; }\n')
    return path


def test_is_compiled_once_and_again_when_it_changes(source, monkeypatch):
    assert load_library(source).answer() == 42
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")  # no compiler: it must be there already
        assert load_library(source).answer() == 42
    source.write_text('extern "C" int answer() { return 43; }\n')
    assert load_library(source).answer() == 43
    kept = list((source.parent / "cache" / "qtt-hw").iterdir())
    assert len(kept) == 2 and all(path.name.startswith("answer-") and path.suffix == ".so" for path in kept)


def test_works_where_nothing_can_be_kept(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_library(source).answer() == 42


def test_an_error_is_one_line_that_names_the_file_and_leaves_nothing(source):
    source.write_text('extern "C" int answer() { return missing; }\n')
    with pytest.raises(ValueError, match=r"answer\.cpp: g\+\+ refuses it: .*'missing' was not declared") as refused:
        load_library(source)
    assert "\n" not in str(refused.value)
    assert list((source.parent / "cache" / "qtt-hw").iterdir()) == []


def test_a_missing_compiler_is_named(source, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"answer\.cpp needs a C\+\+ compiler: the program g\+\+ is not on PATH"):
        load_library(source)
