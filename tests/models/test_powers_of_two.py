"""The committed LeNet and ResNet-20: weights are powers of two, and LeNet's accuracy is the reported one."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.codebook import Codebook
from qtt_hw.data import load as load_data
from qtt_hw.evaluation import evaluate
from qtt_hw.graph import Contraction
from qtt_hw.graph.file import load

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "lenet-mnist.qtt"


@pytest.mark.parametrize(("name", "layers"), [("lenet-mnist", 4), ("resnet20-cifar10", 22)])
def test_every_weight_is_a_signed_power_of_two_in_four_bits(name, layers):
    contractions = [n for n in load(ROOT / "models" / f"{name}.qtt").nodes if isinstance(n, Contraction)]
    assert len(contractions) == layers
    for node in contractions:
        assert isinstance(node.weight_format, Codebook) and node.weight_format.bits == 4
        magnitudes = np.abs(node.weight)
        assert magnitudes.min() > 0 and not (magnitudes & (magnitudes - 1)).any()


@pytest.mark.skipif("QTT_DATA" not in os.environ, reason="QTT_DATA names no folder with the data sets")
def test_accuracy_on_the_official_test_set_is_the_reported_one():
    found = evaluate(load(MODEL), load_data(Path(os.environ["QTT_DATA"]) / "mnist"))
    rows = json.loads((ROOT / "results" / "lenet-quantized.json").read_text())["rows"]
    (row,) = [row for row in rows if (row["config"], row["seed"]) == ("lenet-4-a8", 0)]
    assert found.samples == 10_000 and found.accuracy == row["test_accuracy"]
