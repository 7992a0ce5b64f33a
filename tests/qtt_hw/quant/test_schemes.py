"""Every codebook of a configuration has its quantiser, with the configuration's options."""

import pytest
import torch

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from qtt_hw.quant import QuantConfig, UniformQuantizer, WeightQuantizer, weight_quantizer
from qtt_hw.quant.clustered import ClusteredQuantizer
from qtt_hw.quant.incremental import IncrementalQuantizer
from qtt_hw.quant.powers_of_two import DynamicCodebook, StaticCodebook


@pytest.mark.parametrize(
    ("options", "kind", "fmt"),
    [
        ({}, UniformQuantizer, Format(3, True, 1, narrow=True)),
        ({"codebook": "dqc"}, DynamicCodebook, Codebook(3, 4, False, 3)),
        ({"codebook": "sqc", "zero": True}, StaticCodebook, Codebook(3, 3, True, 2)),
        ({"codebook": "inq"}, IncrementalQuantizer, Codebook(3, 2, True, 1)),
        ({"codebook": "kmeans"}, ClusteredQuantizer, Format(8, True, 6, narrow=True)),
    ],
)
def test_a_configuration_s_quantiser(options: dict, kind: type, fmt: Format | Codebook) -> None:
    weight = torch.tensor([[1.0, -0.5, 0.25], [0.125, 0.75, -1.0]])
    quantizer = weight_quantizer(QuantConfig(**options), 3, weight.shape)
    assert type(quantizer) is kind and isinstance(quantizer, WeightQuantizer) and quantizer.bits == 3
    quantizer.calibrate(weight)
    assert quantizer.format_of(weight) == fmt
    integers = quantizer.integers(weight)
    assert integers.shape == weight.shape and fmt.contains(integers.to(torch.int64).numpy())
    assert torch.equal(quantizer.eval()(weight).double(), integers * 2.0**-fmt.frac)
    assert quantizer.stored_bits(100) == 300 + (8 * 8 if kind is ClusteredQuantizer else 0)


def test_options_reach_the_quantiser() -> None:
    found = weight_quantizer(QuantConfig(codebook="dqc", zero=True, gradient="straight"), 4, (2,))
    assert isinstance(found, DynamicCodebook) and (found.zero, found.gradient) == (True, "straight")
    assert weight_quantizer(QuantConfig(scales="fixed"), 4, (2,)).fixed
