"""The package's public names, and that reading and running a model needs no torch."""

import subprocess
import sys

import pytest

import qtt_hw


def test_every_public_name_exists() -> None:
    for name in qtt_hw.__all__:
        found = getattr(qtt_hw, name)
        assert callable(found) and found.__name__ == name
    assert set(qtt_hw.__all__) <= set(dir(qtt_hw))


def test_a_function_is_what_its_name_stands_for_whatever_was_imported_before() -> None:
    code = "import qtt_hw.training, qtt_hw.evaluation, qtt_hw, types; assert type(qtt_hw.train) is types.FunctionType"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = qtt_hw.nothing


def test_the_integer_side_does_not_import_torch() -> None:
    code = (
        "import sys, qtt_hw\n"
        "from qtt_hw import Format, Graph, InputSpec, digest_of, input_spec, load, preprocess, run, save\n"
        "from qtt_hw import cosim, demo, emit, evaluate, plan\n"
        "import qtt_hw.cli\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
