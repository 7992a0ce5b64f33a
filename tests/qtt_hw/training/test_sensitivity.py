"""Each layer's states, their logits, and what its weights store at other bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from qtt_hw.data import Splits
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.mixed import layers_of
from qtt_hw.training import train
from qtt_hw.training.config import Config
from qtt_hw.training.measure import logits
from qtt_hw.training.quantized import STATISTICS_EPOCH
from qtt_hw.training.run import QuantizedRun, float_model, quantized_run
from qtt_hw.training.sensitivity import at_widths, measure, own_bits, stored_bits, widths_of
from qtt_hw.training.store import RunStore


@pytest.fixture(scope="module")
def folder(config: Config, solids: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensitivity") / "run"
    train(config.model_copy(update={"teacher": None}), solids, folder)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path, solids: Splits) -> QuantizedRun:
    return quantized_run(folder, solids)


def test_states_lie_between_float_and_quantised(found: QuantizedRun, solids: Splits) -> None:
    batches = found.batches.some(2, STATISTICS_EPOCH)
    before = {name: value.clone() for name, value in found.prepared.state_dict().items()}
    measured = measure(found.prepared, solids.validation, found.spec, batches)
    assert all(torch.equal(value, before[name]) for name, value in found.prepared.state_dict().items())
    exact = logits(found.prepared, solids.validation, found.spec, torch.device("cpu"))

    def off(these: torch.Tensor, those: torch.Tensor) -> float:
        return float((these - those).norm() / those.norm())

    assert off(measured.quantized, exact) < 0.02
    assert [layer.layer.name for layer in measured.layers] == [
        "features.block1.conv",
        "features.block2.conv",
        "head.2",
    ]
    for layer in measured.layers:
        assert set(layer.bits) == {2, 3, 4, 6, 8} and layer.own_bits == 4
        noise = {bits: off(values, measured.in_float) for bits, values in layer.bits.items()}
        assert noise[8] < noise[4] < noise[2] and noise[8] < 0.1
        assert layer.weights is layer.bits[4]
        assert 0 < off(layer.activations, measured.in_float) < noise[2]
        assert 0 < off(layer.without, measured.quantized)
    last = measured.layers[-1]
    # Outputs of the last layer, with 16 bits, lose next to nothing; the noise of its output is that of the logits.
    assert off(last.activations, measured.in_float) < 1e-3
    assert last.snr == pytest.approx(
        -20 * torch.log10(torch.tensor(off(last.alone, measured.in_float))).item(), abs=0.1
    )


def test_the_float_phase_is_calibrated_as_training_does(folder: Path, solids: Splits) -> None:
    found = quantized_run(folder, solids, "float")
    assert found.phase == "float" and found.prepared.statistics_frozen
    assert not torch.equal(
        found.prepared.state_dict()["stages.0.weight"],
        quantized_run(folder, solids).prepared.state_dict()["stages.0.weight"],
    )
    batches = found.batches.some(4, STATISTICS_EPOCH)
    in_float = measure(found.prepared, solids.validation, found.spec, batches).in_float
    model = float_model(folder)
    for module in model.modules():  # whose statistics are to be those of the batches
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
    model.train()(torch.cat(batches))
    of_float = logits(model.eval(), solids.validation, found.spec, torch.device("cpu"))
    assert torch.allclose(in_float, of_float, atol=1e-3)
    RunStore(folder).result.rename(folder / "hidden.json")
    with pytest.raises(ValueError, match="training has not ended"):
        quantized_run(folder, solids)
    assert quantized_run(folder, solids, "float").phase == "float"
    (folder / "hidden.json").rename(RunStore(folder).result)


def test_other_bits_store_what_is_said_and_are_equal_in_integers(found: QuantizedRun, solids: Splits) -> None:
    widths = {"features.block1.conv": 3, "features.block2.conv": 4, "head.2": 8}
    made = at_widths(found.prepared, widths, found.batches.some(2, STATISTICS_EPOCH))
    before, after = (freeze(prepared, found.spec) for prepared in (found.prepared, made))
    assert {node.source: node.weight_bits for node in after.nodes if node.weight_bits} == widths
    counts = {name: 0 for name in widths}
    grown = 0
    for stage in made.contractions:
        counts[stage.source] += stage.weight_size
    for name, bits in widths.items():
        stages = [stage for stage in made.contractions if stage.source == name]
        assert own_bits(stages) == bits
        layer = next(layer for layer in layers_of(made.stage_list) if layer.name == name)
        stored = stored_bits(found.prepared, layer, (bits, 4))
        assert stored[bits] - stored[4] == counts[name] * (bits - 4)
        grown += counts[name] * (bits - 4)
    assert after.weight_bits == before.weight_bits + grown
    assert own_bits([]) is None


def test_codebooks_have_codes_of_fewer_bits() -> None:
    from qtt_hw.quant import QuantConfig

    assert widths_of(QuantConfig(codebook="dqc")) == (2, 3, 4, 6)
    assert widths_of(QuantConfig(codebook="kmeans")) == widths_of(QuantConfig()) == (2, 3, 4, 6, 8)
