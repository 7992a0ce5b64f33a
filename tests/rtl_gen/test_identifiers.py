"""Any distinct names of stages give distinct, legal identifiers; a network's name never leads out of a folder."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph
from qtt_hw.graph.file import load
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.identifiers import KEYWORDS, LONGEST, RESERVED, file_name, identifiers
from rtl_gen.plan.search import plan

MODELS = Path(__file__).parents[2] / "models"
#: Names that meet each other, and any text.
parts = st.sampled_from(["a", "b", "A", "_", "__", ".", "0", "i", "tap_", "reg", "clk", "buffer", "ß", " ", "_2", "\n"])
names = st.one_of(st.lists(parts, max_size=6).map("".join), st.text(max_size=8))


@given(st.lists(names, unique=True, max_size=12))
def test_identifiers_are_legal_distinct_and_stable(stages):
    found = identifiers(stages)
    assert len(found) == len(stages) and identifiers(stages) == found
    for name in found:
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name not in KEYWORDS and name.lower() not in RESERVED
    used = [*RESERVED, *(f"{way}{name}".lower() for name in found for way in ("", "tap_"))]
    assert len(set(used)) == len(used)
    assert not [(a, b) for a in used for b in used if a.startswith(f"{b}__")]
    # A stage that is added behind changes none before it.
    assert identifiers(stages[:-1]) == found[:-1]


@given(st.lists(st.from_regex(r"[a-z]{2,8}(\.[a-z0-9]{1,4}){0,3}", fullmatch=True), unique=True, max_size=12))
def test_plain_names_stay_as_they_are(stages):
    expected = [name.replace(".", "_") for name in stages]
    if len(set(expected)) == len(stages) and not set(expected) & {*KEYWORDS, *RESERVED}:
        if not any(name == f"tap_{other}" for name in expected for other in expected):
            assert identifiers(stages) == expected


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (["features.0.conv1", "Head_2", "_x", "reg_"], ["features_0_conv1", "Head_2", "_x", "reg_"]),
        (["a.b", "a_b", "A_B", "a_b_2"], ["a_b", "a_b_2", "A_B_3", "a_b_2_2"]),
        (["a", "a__buffer", "a__a__fifo"], ["a", "a_buffer", "a_a_fifo"]),
        (["a__buffer", "a"], ["a__buffer", "a_2"]),
        (["argmax", "input", "input__fork", "i"], ["stage_argmax", "stage_input", "input_fork", "stage_i"]),
        (["O", "clk", "rst", "i__payload"], ["stage_O", "stage_clk", "stage_rst", "i_payload"]),
        (["reg", "module", "logic", "Reg"], ["stage_reg", "stage_module", "stage_logic", "Reg"]),
        (["0", "1.conv", ""], ["stage_0", "stage_1_conv", "stage"]),
        (["größe", "grüße", "gr"], ["gr__e", "gr_e", "gr_2"]),
        (["x", "tap_x", "tap_x__strobe"], ["x", "tap_x_2", "tap_x_strobe"]),
        (["a b", "a\nb", 'a"b', "__"], ["a_b", "a_b_2", "a_b_3", "__"]),
    ],
)
def test_what_clashes_or_is_illegal_is_changed(stages, expected):
    assert identifiers(stages) == expected


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.qtt")), ids=lambda path: path.stem)
def test_the_committed_models_keep_their_names(path):
    stages = [node.name for node in load(path).nodes]
    assert identifiers(stages) == [stage.replace(".", "_") for stage in stages]


def test_long_names_stay_apart():
    kept, *cut = identifiers(["x" * LONGEST, "x" * (LONGEST + 1), "x" * (LONGEST + 2)])
    assert kept == "x" * LONGEST
    assert all(len(name) == LONGEST for name in cut) and len({kept, *cut}) == 3


@given(st.text(max_size=300))
def test_a_file_name_stays_in_its_folder(tmp_path_factory, name):
    found = file_name(name)
    assert found == file_name(found)
    path = tmp_path_factory.getbasetemp() / f"{found}.bit"
    assert path.resolve().parent == tmp_path_factory.getbasetemp().resolve() and not found.startswith(".")
    path.touch()  # which the file system takes
    path.unlink()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet20-4-a8", "resnet20-4-a8"),
        ("größe v1.2", "größe_v1.2"),
        ("../x", "__x"),
        ("..", "_"),
        ("", "_"),
        ("/etc/x", "_etc_x"),
        ("a\n'b\"", "a__b_"),
    ],
)
def test_file_names(name, expected):
    assert file_name(name) == expected


def network(stages):
    """A chain of stages of two channels."""
    fmt, source, nodes = Format(4, True, 0), INPUT, []
    for name in stages:
        weight = as_integers(np.eye(2).reshape(2, 1, 1, 1, 2))
        ternary = Format(2, True, 0, narrow=True)
        nodes.append(Contraction(name, (source,), name, Window(), weight, ternary, Requantizer(fmt, 1)))
        source = name
    return Graph("../a network\n'of' \"names\"", input_spec((1, 1, 1, 2)), tuple(nodes))


@pytest.mark.parametrize("taps", [False, True])
def test_modules_and_ports_of_strange_names_are_distinct(tmp_path, taps):
    stages = ["a.b", "a_b", "c", "c__buffer", "argmax", "größe", "reg", "0", "clk", "input__fork", "Conv", "conv"]
    stages.append("x" * 3000)
    graph = network(stages)
    manifest = emit(graph, tmp_path / "build", plan(graph, device("none")), taps=taps)
    assert manifest.name == graph.name
    text = (tmp_path / "build" / "design.v").read_text(encoding="ascii")
    modules = re.findall(r"^module (\S+) ?\(", text, re.MULTILINE)
    assert len({module.lower() for module in modules}) == len(modules) > 9 * len(stages)
    assert all(re.fullmatch(r"\w+", module) and len(module) < 1024 for module in modules)
    assert [tap.stage for tap in manifest.taps] == (stages if taps else [])
    ports = re.findall(r"\w+", re.search(r"module qtt_top\(([^)]*)\);", text)[1])
    assert len({port.lower() for port in ports}) == len(ports) == 8 + 2 * len(manifest.taps)
    assert {port for tap in manifest.taps for port in (tap.strobe, tap.payload)} <= set(ports)
