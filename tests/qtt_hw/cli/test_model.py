"""The verbs on models: their data, training, freezing, checks and evaluation, and what each refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.graph import Graph
from tests.qtt_hw.cli.calls import OPTIONS, Qtt


def test_data_of_another_shape_type_or_place_is_refused(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    y = np.arange(20) % 3
    other = tmp_path / "other.npz"
    np.savez(other, x=np.random.default_rng(0).integers(0, 2, (20, 8, 8, 9), np.uint8), y=y)
    halves = tmp_path / "halves.npz"
    np.savez(halves, x=np.full((20, 8, 8, 8), 0.5), y=y)
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = {
        other: "its samples are [8, 8, 9, 1] (D, H, W, C), small takes [8, 8, 8, 1]",
        halves: "expected whole numbers 0 to 255",
        empty: "expected modelnet10_vox30.npz, or class folders that hold .npy volumes",
        tmp_path / "none": "no such file or folder",
    }
    for source, reason in cases.items():
        line = qtt.refuses("eval", qtt_file, "--data", source)
        assert str(source) in line and reason in line
    assert "split 'all' is not known; known are train, validation, test" in qtt.refuses(
        "eval", qtt_file, "--data", "solids", "--split", "all"
    )


def test_data_of_other_classes_is_refused(qtt: Qtt, qtt_file: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "cats.npz"
    np.savez(path, x=rng.integers(0, 2, (40, 8, 8, 8), np.uint8), y=np.array(["cat", "dog"] * 20))
    assert qtt.refuses("eval", qtt_file, "--data", path).endswith(
        "its classes are cat, dog; small knows box, sphere, cone"
    )


@pytest.mark.parametrize("bits", [0, 40])
def test_bit_widths_out_of_range_are_refused(qtt: Qtt, config: Path, tmp_path: Path, bits: int) -> None:
    path = tmp_path / "bits.toml"
    path.write_text(config.read_text() + f"weight_bits = {bits}\n")
    for arguments in (["train", path, "--data", "solids", "--out", tmp_path / "run"], ["plan", path]):
        line = qtt.refuses(*arguments)
        assert f"{path}: quant.weight_bits: " in line and f"got {bits}" in line
    assert list(tmp_path.iterdir()) == [path]


def test_training_is_refused_before_it_begins(qtt: Qtt, config: Path, net: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    plain = tmp_path / "plain.toml"
    plain.write_text(config.read_text().replace(OPTIONS, ""))
    line = qtt.refuses("train", plain, "--data", tmp_path / "none.npz", "--out", run)
    assert "none.npz: no such file" in line
    bent = tmp_path / "bent.toml"
    bent.write_text('[model]\nname = "net.py:Bent"\n[quant]\n')
    np.savez(tmp_path / "own.npz", x=np.random.default_rng(0).integers(0, 2, (40, 5, 5, 5), np.uint8), y=[0, 1] * 20)
    line = qtt.refuses("train", bent, "--data", tmp_path / "own.npz", "--out", run)
    assert "net.py:Bent: 1 (Softmax)" in line
    assert "accelerator must be cpu or cuda" in qtt.refuses(
        "train", config, "--data", "solids", "--out", tmp_path / "x", "--accelerator", "tpu"
    )
    assert not (tmp_path / "x").exists()


def test_a_folder_without_a_run_is_not_frozen(qtt: Qtt, tmp_path: Path) -> None:
    assert "holds no run.json" in qtt.refuses("freeze", tmp_path, "-o", tmp_path / "model.qtt")
    assert list(tmp_path.iterdir()) == []


def test_check_names_what_cannot_be_lowered(qtt: Qtt, net: Path) -> None:
    found = qtt.json("check", f"{net}:Plain", "--input", "1,5,5,5")
    assert found["supported"] is True and [row["layer"] for row in found["layers"]] == ["0", "1", "2", "3"]
    ran = qtt("check", f"{net}:Bent", "--input", "1,5,5,5", "--json")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert found["supported"] is False
    assert [row["layer"] for row in found["layers"] if not row["supported"]] == ["1"]
    assert ran.err.startswith(f"qtt: {net}:Bent: 1 (Softmax) ") and ran.err.count("\n") == 1


ODD = """
from torch import nn
def odd():
    net = nn.Sequential()
    names = ("argmax", "größe", "[/red]", "[bold]", "a b", "input")
    layers = (nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.Conv3d(2, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3))
    for name, layer in zip(names, layers):
        net.add_module(name, layer)
    return net
def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(3))
class Raises(nn.Module):
    def __init__(self):
        raise KeyError("width")
"""


def test_check_shows_any_name_as_it_is_and_never_a_traceback(qtt: Qtt, tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(ODD, encoding="utf-8")
    found = qtt("check", f"{path}:odd", "--input", "1,3,3,3")
    assert found.code == 0
    assert all(name in found.out for name in ("argmax", "größe", "[/red]", "[bold]", "a b", "input"))
    ran = qtt("check", f"{path}:lazy", "--input", "1,5,5")
    assert ran.code == 1 and ran.err.count("\n") == 1
    assert ran.err.endswith("odd.py:lazy: 0 (LazyConv2d) has no weights before its first input; run the model on one\n")
    assert qtt.refuses("check", f"{path}:Raises", "--input", "1,5,5").endswith("odd.py:14: Raises: KeyError: 'width'")


def test_check_needs_a_network_and_its_shape(qtt: Qtt, net: Path, config: Path) -> None:
    assert "input shape C,D,H,W" in qtt.refuses("check", f"{net}:Plain")
    assert "has no class or function Gone" in qtt.refuses("check", f"{net}:Gone", "--input", "1,5,5,5")
    assert "nor in the zoo, voxtt" in qtt.refuses("check", "vgg")
    assert qtt.refuses("check", net, "--input", "1,5,5,5").endswith(f"makes the network too, as {net}:Net")
    assert qtt.json("check", "voxtt-tiny")["supported"] is True
    assert qtt.json("check", config, "--input", "8,4,4,4")["supported"] is True


def test_eval_prints_what_the_function_returns(qtt: Qtt, qtt_file: Path, graph: Graph) -> None:
    import qtt_hw

    found = qtt.json("eval", qtt_file, "--data", "solids")
    read = found.pop("dataset")
    assert found == qtt_hw.evaluate(graph, "solids").model_dump(mode="json")
    assert (read["sample_shape"], read["labels"]) == ([8, 8, 8, 1], ["box", "sphere", "cone"])
    assert (read["train"], read["validation"], read["test"]) == (540, 60, 300)
    assert (found["samples"], found["weight_bytes"]) == (300, graph.weight_bytes)
    assert 0 <= found["accuracy"] <= 1
    ran = qtt("eval", qtt_file, "--data", "solids")
    assert f"{found['accuracy']:.4f}" in ran.out
    assert ran.err.startswith(
        "qtt: data: solids: generated in 8 voxels along each edge; samples D, H, W, C = 8, 8, 8, 1 "
    )
    assert ran.err.count("\n") == 1
