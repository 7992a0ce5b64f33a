"""Calibration: gauges that change nothing but the ranges, statistics of what the hardware sees, usable at once."""

import copy
import warnings
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from qtt_hw.errors import CalibrationWarning
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.calibrate import balance
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn import ConvBlock, QTTConv3d, TTConv3d, TTLinear
from qtt_hw.nn.contraction import contract
from qtt_hw.quant import QuantConfig
from qtt_hw.quant.fake import best_frac

VOXELS = Format(1, False, 0)


def samples(n: int, seed: int) -> Tensor:
    return (torch.rand(n, 2, 6, 6, 6, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def contractions(model: PreparedModel) -> list[ContractionStage]:
    return [stage for stage in model.stages if isinstance(stage, ContractionStage)]


def float_run(model: PreparedModel, x: Tensor) -> Tensor:
    """The chain on float values without any quantisation, float64."""
    x = x.double()
    for stage in model.stages:
        if isinstance(stage, ContractionStage):
            x = contract(x, stage.weight.detach().double(), stage.window, stage.lead, stage.trail)
        else:
            x = stage.integers((x, VOXELS))
    return x


def test_balancing_keeps_the_network_to_the_bit_and_evens_the_cores() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(8 * 27, 12, bias=False)
    net = nn.Sequential(
        TTConv3d(2, 8, 3, (2, 5, 5, 5), padding=1),
        nn.Conv3d(8, 8, 4),
        nn.Flatten(),
        TTLinear.from_dense(linear, (8, 27), (3, 4), ranks=4),
    )
    net[1].bias = None
    model = prepare(net, samples(1, 0), QuantConfig(), VOXELS)
    x = samples(3, 1)
    with torch.no_grad():
        for gauge in model.gauges:
            model.stages[gauge.before].weight[0] *= 2.0**9
            model.stages[gauge.after].weight[:, 0] *= 2.0**-7
    before = float_run(model, x)
    cores = [stage.weight.detach().clone() for stage in contractions(model)]
    balance(model.stage_list, model.gauges)
    assert len(model.gauges) == 5
    assert torch.allclose(float_run(model, x), before, rtol=1e-12)
    moved = [not torch.equal(old, stage.weight) for old, stage in zip(cores, contractions(model), strict=True)]
    assert moved == [True] * 5 + [False] + [True] * 2
    for gauge in model.gauges[:4]:
        out = model.stages[gauge.before].weight.detach().flatten(1).norm(dim=1)
        into = model.stages[gauge.after].weight.detach().transpose(0, 1).flatten(1).norm(dim=1)
        # Powers of two can even norms out to within a factor of two.
        assert torch.all((out / into).log2().abs() <= 1.0 + 1e-4)
    for old, stage in zip(cores, contractions(model), strict=True):
        ratio = torch.where(old == 0, 1.0, stage.weight.detach() / torch.where(old == 0, 1.0, old))
        assert torch.equal(ratio.log2().round(), ratio.log2())
    again = copy.deepcopy(model)
    balance(again.stage_list, again.gauges)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(contractions(again), contractions(model), strict=True))


def test_statistics_are_those_of_the_quantised_sums() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(ConvBlock(2, 4, 3), ConvBlock(4, 5, 3), nn.Flatten(), nn.Linear(40, 2))
    model = prepare(net, samples(1, 0), QuantConfig(weight_bits=3, activation_bits=3), VOXELS)
    model.calibrate([samples(5, 1), samples(3, 2)])
    x = torch.cat([samples(5, 1), samples(3, 2)])
    outputs = model.forward_all(x)
    first, second = contractions(model)[:2]
    seen = outputs["0.conv"].double() * 2.0**-first.output_quantizer.frac
    weight = second.weight_quantizer.integers(second.weight) * 2.0**-second.weight_quantizer.frac
    acc = nn.functional.conv3d(seen, weight).transpose(0, 1).flatten(1)
    assert torch.allclose(second.batch_norm.running_mean.double(), acc.mean(1), rtol=1e-6, atol=1e-7)
    assert torch.allclose(second.batch_norm.running_var.double(), acc.var(1), rtol=1e-6)


def test_re_estimated_statistics_leave_scales_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(ConvBlock(2, 4, 3), nn.Flatten(), nn.Linear(4 * 64, 2))
    model = prepare(net, samples(1, 0), QuantConfig(), VOXELS)
    model.calibrate([samples(8, 1)])
    scales = {name: p.detach().clone() for name, p in model.named_parameters()}
    mean = contractions(model)[0].batch_norm.running_mean.clone()
    model.freeze_statistics([samples(8, 2)])
    assert all(torch.equal(scales[name], p.detach()) for name, p in model.named_parameters())
    assert not torch.equal(contractions(model)[0].batch_norm.running_mean, mean)


def test_scales_are_of_least_error_on_what_a_stage_puts_out() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(2, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2))
    model = prepare(net, samples(1, 0), QuantConfig(weight_bits=4, activation_bits=3), VOXELS)
    model.calibrate([samples(8, 1)])
    stage = contractions(model)[0]
    assert stage.weight_quantizer.frac == best_frac(stage.weight, 4, True, narrow=True)
    weight = stage.weight_quantizer.integers(stage.weight) * 2.0**-stage.weight_quantizer.frac
    y = nn.functional.conv3d(samples(8, 1).double(), weight).clamp(min=0)
    assert stage.output_quantizer.frac == best_frac(y, 3, False)


@pytest.mark.parametrize(("weight_bits", "bits", "error"), [(8, 8, 0.05), (4, 8, 0.3)])
def test_a_calibrated_model_is_usable_without_training(weight_bits: int, bits: int, error: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        ConvBlock(2, 8, 3, None, 1, 1),
        ConvBlock(8, 8, 3, 6, 1, 1),
        nn.MaxPool3d(2),
        ConvBlock(8, 12, 3, 6, 1, 1),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    )
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = None  # the plain mean over the batches
    net.train()
    for seed in range(20):
        net(samples(16, seed))
    net.eval()
    config = QuantConfig(weight_bits=weight_bits, activation_bits=bits, intermediate_bits=bits)
    model = prepare(net, samples(1, 0), config, VOXELS)
    model.calibrate([samples(64, 100)])
    x = samples(32, 200)
    with torch.no_grad():
        expected, found = net(x), model.eval()(x)
    assert (found - expected).square().mean().sqrt() < error * expected.square().mean().sqrt()


def test_a_bias_alone_fits_its_multiplier() -> None:
    """Sums that are all zero say nothing of the scale; a small bias must not ask for a finer one than m can reach."""
    conv = nn.Conv3d(2, 3, 6)
    nn.init.zeros_(conv.weight)
    nn.init.constant_(conv.bias, 2.0**-12)
    model = prepare(nn.Sequential(conv, nn.Flatten()), samples(1, 0), QuantConfig(), VOXELS)
    model.calibrate([samples(2, 1)])
    assert torch.equal(model.eval()(samples(2, 2)), torch.full((2, 3), 2.0**-12))


def test_the_scale_that_an_output_starts_with_need_not_fit_its_multiplier() -> None:
    """Logits of 16 bits start at frac 15; behind huge values a bias would need a multiplier of more than 16 bits."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(2, 3, 6), nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        net[0].weight.mul_(2.0**9)
        net[2].weight.mul_(2.0**5)
    model = prepare(net, samples(1, 0), QuantConfig(weight_bits=2, activation_bits=2), VOXELS)
    model.calibrate([samples(8, 1)])
    stage = contractions(model)[1]
    assert stage.weight_format().frac + contractions(model)[0].output_quantizer.frac < -1
    assert 0 < stage.output_quantizer.frac < 15


def trained() -> nn.Sequential:
    """A network whose first batch norm has statistics, behind a layer with a bias; the second has none yet."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), ConvBlock(4, 5, 3), nn.Flatten(), nn.Linear(40, 3)
    )
    for seed in range(8):
        net[:2].train()(samples(16, seed))
    return net.eval()


@pytest.mark.parametrize("activations", ["quantized", "float"])
def test_statistics_that_were_trained_are_kept_unless_asked(activations: str) -> None:
    net = trained()
    config = QuantConfig(activations=activations)  # type: ignore[arg-type]
    kept, replaced = (prepare(net, samples(1, 0), config, VOXELS) for _ in range(2))
    norms = [[stage.batch_norm for stage in contractions(model)[:2]] for model in (kept, replaced)]
    assert [[norm.has_statistics for norm in pair] for pair in norms] == [[True, False]] * 2
    kept.calibrate([samples(3, 20), samples(2, 21)])
    replaced.calibrate([samples(3, 20), samples(2, 21)], estimate_statistics=True)
    (first, second), (other_first, _) = norms
    mean = net[1].running_mean - net[0].bias.detach()
    assert torch.equal(first.running_mean, mean) and torch.equal(first.running_var, net[1].running_var)
    assert second.has_statistics
    assert not torch.allclose(other_first.running_mean, first.running_mean, rtol=0.01)
    assert first.training and second.training and {first.momentum, second.momentum} == {0.1}
    if activations == "float":
        # What the second one sees is normalised by the statistics that the first one keeps.
        x = torch.cat([samples(3, 20), samples(2, 21)])
        with torch.no_grad():
            stage = contractions(kept)[0]
            seen = stage.eval().floats(x)
            sums = contract(seen, contractions(kept)[1].quantized_weight(), contractions(kept)[1].window)
        parts = [part.mean((0, 2, 3, 4)) for part in sums.split([3, 2])]
        assert torch.allclose(second.running_mean, (parts[0] + parts[1]) / 2, atol=1e-6)


def test_a_single_sample_does_not_cost_what_was_trained() -> None:
    net = trained()
    for seed in range(8):
        net.train()(samples(16, seed))
    net.eval()
    x = samples(64, 100)
    errors = []
    for estimate in (False, True):
        model = prepare(net, x[:1], QuantConfig(weight_bits=8, activation_bits=8), VOXELS)
        model.calibrate([x[:1]], estimate_statistics=estimate)
        with torch.no_grad():
            errors.append(float((model.eval()(x) - net(x)).square().mean().sqrt() / net(x).square().mean().sqrt()))
    kept, estimated = errors
    assert kept < 0.1 and estimated > 3 * kept


def test_few_samples_for_statistics_are_warned_of() -> None:
    net = trained()
    text = "^calibrate: scales and batch norm's statistics are taken from 5 samples; give 64 or more$"
    with pytest.warns(CalibrationWarning, match=text) as caught:
        prepare(net, samples(1, 0), input_format=VOXELS).calibrate([samples(3, 0), samples(2, 1)])
    assert caught[0].filename == __file__
    net.train()(samples(2, 0))
    model = prepare(net.eval(), samples(1, 0), input_format=VOXELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.calibrate([samples(64, 0)])
        model.calibrate([samples(40, 0), samples(24, 1)], estimate_statistics=True)
    with pytest.warns(CalibrationWarning, match="^calibrate: scales are taken from 5 samples; give 64 or more$"):
        model.calibrate([samples(5, 0)])  # all have statistics, which stay
    with pytest.warns(CalibrationWarning, match=text):
        model.calibrate([samples(5, 0)], estimate_statistics=True)
    with pytest.warns(
        CalibrationWarning, match="^freeze_statistics: batch norm's statistics are taken from 5 samples; "
    ):
        model.freeze_statistics([samples(5, 0)])
    bare = nn.Sequential(nn.Conv3d(2, 3, 6), nn.Flatten())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.freeze_statistics()
        prepare(bare, samples(1, 0), input_format=VOXELS).calibrate([samples(64, 0)], estimate_statistics=True)


CODEBOOKS: list[Literal["dqc", "sqc", "inq", "kmeans"]] = ["dqc", "sqc", "inq", "kmeans"]


@pytest.mark.parametrize("codebook", [None, *CODEBOOKS])
def test_weights_out_of_reach_are_refused(codebook: Literal["dqc", "sqc", "inq", "kmeans"] | None) -> None:
    net = nn.Sequential(nn.Conv3d(2, 3, 6), nn.Flatten())
    with torch.no_grad():
        net[0].weight.mul_(1e30)
    with pytest.raises(ValueError, match="^0: (values of up to .* are out of the reach|its powers of two begin at) "):
        prepare(net, samples(1, 0), QuantConfig(codebook=codebook), input_format=VOXELS).calibrate([samples(4, 0)])


def test_outputs_out_of_reach_are_warned_of() -> None:
    net = nn.Sequential(nn.Conv3d(2, 3, 6), nn.Flatten())
    with torch.no_grad():
        net[0].weight.mul_(1e14)
    model = prepare(net, samples(1, 0), QuantConfig(codebook="dqc"), input_format=VOXELS)
    with pytest.warns(CalibrationWarning, match="^0: values of up to .* are out of the reach of 16 bits") as caught:
        model.calibrate([samples(4, 0)])
    assert caught[0].filename == __file__


@pytest.mark.parametrize("tt_form", ["streamed", "merged"])
def test_weights_that_all_round_to_zero_are_warned_of(tt_form: Literal["streamed", "merged"]) -> None:
    def calibrated(factor: float) -> None:
        net = nn.Sequential(layer := QTTConv3d(2, 4, (2, 1), (2, 2), 2, (6, 6, 6)), nn.Flatten())
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(factor)
        prepare(net, samples(1, 0), QuantConfig(tt_form=tt_form), VOXELS).calibrate([samples(64, 0)])

    with pytest.warns(CalibrationWarning, match="^0.*: all its weights round to 0 at the least scale; ") as caught:
        calibrated(1e-9)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calibrated(1.0)
        calibrated(0.0)


def test_statistics_of_batches_are_kept_though_they_are_zeros_and_ones() -> None:
    net = nn.Sequential(nn.Conv3d(2, 3, 6), nn.BatchNorm3d(3), nn.Flatten(), nn.Linear(3, 2)).eval()
    net[1].num_batches_tracked.fill_(1)
    model = prepare(net, samples(1, 0), input_format=VOXELS)
    model.calibrate([samples(64, 0)])
    norm = contractions(model)[0].batch_norm
    assert norm.has_statistics
    assert torch.equal(norm.running_mean, -net[0].bias) and torch.equal(norm.running_var, torch.ones(3))
