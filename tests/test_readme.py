"""The README's examples: its Python runs, its configuration loads, its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from qtt_hw.cli import main

README = Path(__file__).parents[1] / "README.md"


def _blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    return found


def test_the_python_example_runs_from_module_and_data_to_an_equal_simulation(tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text("\n".join(_blocks("python")), encoding="utf-8")
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "equal"
    accuracy, samples = re.match(r"(\d\.\d+) of (\d+) test samples", lines[-3]).groups()  # type: ignore[union-attr]
    assert float(accuracy) > 0.8 and int(samples) == 40
    assert {"own.npz", "own.qtt", "own-build"} <= {path.name for path in tmp_path.iterdir()}


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    from qtt_hw.training import load_config

    for index, text in enumerate(_blocks("toml")):
        path = tmp_path / f"{index}.toml"
        path.write_text(text, encoding="utf-8")
        assert load_config(path).model.name == "net.py:Net"


def _commands() -> list[str]:
    text = README.read_text(encoding="utf-8")
    return [line.removeprefix("$ ") for block in _blocks("console") for line in block.splitlines()] + re.findall(
        r"^\| `(qtt [^`]+)`", text, re.MULTILINE
    )


@pytest.mark.parametrize("command", _commands())
def test_the_commands_and_their_options_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, verb, *rest = command.split()
    assert program == "qtt"
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(rest)):
        assert re.search(rf"(?<![\w-]){option}\b", shown), option


def test_the_make_targets_exist() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    script = (README.parent / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"make test", "make test-long"} <= set(script)


def test_every_file_that_the_documents_name_is_there() -> None:
    root = README.parent
    packages = [root, root / "qtt_hw", root / "rtl_gen", *(root / "qtt_hw").iterdir(), *(root / "rtl_gen").iterdir()]
    for document in (README, *(root / "docs").glob("*.md")):
        text = document.read_text(encoding="utf-8")
        for name in sorted(set(re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.(?:py|cpp|toml))`", text))):
            if name.endswith("/x.py"):  # what is to be added
                continue
            assert any((place / name).is_file() for place in packages), f"{document.name} names {name}"
