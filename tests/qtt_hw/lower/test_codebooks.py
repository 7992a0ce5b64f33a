"""Weights of codebooks all the way: trained, frozen, equal as integers, for dense layers and tensor trains."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Contraction, file, golden
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn import QTTConv3d, TTConv3d, TTLinear
from qtt_hw.nn.resnet import ResNet
from qtt_hw.quant import QuantConfig

VOXELS = Format(1, False, 0)
SCHEMES = [
    {"codebook": "dqc", "weight_bits": 2},
    {"codebook": "dqc", "weight_bits": 3, "gradient": "straight"},
    {"codebook": "dqc", "weight_bits": 4, "zero": True},
    {"codebook": "dqc", "weight_bits": 5, "activation_bits": 6, "first_weight_bits": 3},
    {"codebook": "sqc", "weight_bits": 4},
    {"codebook": "sqc", "weight_bits": 3, "zero": True, "gradient": "straight"},
    {"codebook": "inq", "weight_bits": 4},
    {"codebook": "kmeans", "weight_bits": 3},
]


def network() -> nn.Module:
    """Dense layers and all three kinds of tensor trains, pools between them."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        TTConv3d(4, 6, 3, ranks=3, padding=1),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        nn.MaxPool3d(2),
        QTTConv3d(6, 8, (2, 3), (4, 2), 3, padding=1),
        nn.BatchNorm3d(8),
        nn.ReLU(),
        nn.AvgPool3d(2),
        nn.Flatten(),
        TTLinear((2, 4), (4, 2), 3, bias=True),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def samples(n: int = 8, seed: int = 0) -> Tensor:
    return (torch.rand(n, 1, 8, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def calibrated(options: dict[str, Any], model: nn.Module | None = None) -> PreparedModel:
    prepared = prepare(model or network(), samples(1), QuantConfig(**options), VOXELS)
    prepared.calibrate([samples(4, 1), samples(4, 2)])
    return prepared


def train(model: PreparedModel, steps: int = 3) -> list[float]:
    model.train()
    optimizer = torch.optim.Adam(model.parameter_groups(1e-2, 1e-4, 1e-2))
    x, y = samples(), torch.arange(8) % 3
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_golden(model: PreparedModel, folder: Path) -> list[Contraction]:
    """Evaluation equals the golden model at every stage, before and after a trip through a file."""
    graph = freeze(model, input_spec((8, 8, 8, 1)))
    file.save(graph, folder / "model.qtt")
    x = samples(6, 7)
    integers = x.permute(0, 2, 3, 4, 1).numpy().astype(np.int64)
    found = model.eval().forward_all(x)
    for one in (graph, file.load(folder / "model.qtt")):
        wanted = golden.run(one, integers, intermediates=True)
        for name, value in found.items():
            assert np.array_equal(value.permute(0, 2, 3, 4, 1).numpy(), wanted[name]), name
    assert len({tuple(row) for row in wanted[graph.nodes[-1].name].reshape(6, -1)}) > 1
    return [node for node in graph.nodes if isinstance(node, Contraction)]


@pytest.mark.parametrize("options", SCHEMES, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_evaluation_equals_golden_in_every_phase(options: dict[str, Any], tmp_path: Path) -> None:
    model = calibrated(options)
    assert_golden(model, tmp_path)
    train(model)
    model.quantize_portion(0.5)
    train(model)
    model.freeze_scales()
    model.freeze_statistics([samples()])
    losses = train(model, 12)
    assert min(losses) < losses[0]
    nodes = assert_golden(model, tmp_path)
    # Training's forward values are evaluation's.
    x = samples(5, 9)
    assert torch.equal(model.train()(x).detach(), model.eval()(x))
    kinds = {type(node.weight_format) for node in nodes}
    assert kinds == ({Format} if options["codebook"] == "kmeans" else {Codebook})


@pytest.mark.parametrize("options", SCHEMES, ids=lambda o: "-".join(str(v) for v in o.values()))
def test_a_checkpoint_resumes_to_the_bit(options: dict[str, Any]) -> None:
    model = calibrated(options)
    for advance in (lambda: model.quantize_portion(0.7), model.freeze_scales, model.freeze_statistics):
        advance()
        train(model, 2)
        other = prepare(network(), samples(1), QuantConfig(**options), VOXELS)
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        assert train(model, 2) == train(other, 2)
        for name, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_every_core_has_its_own_codebook() -> None:
    """A layer's codes end at its own largest weight, not at the network's."""
    model = network()
    with torch.no_grad():
        for index, parameter in enumerate(p for p in model.parameters() if p.ndim > 1):
            parameter.mul_(2.0**-index)
    graph = freeze(calibrated({"codebook": "dqc", "weight_bits": 4}, model), input_spec((8, 8, 8, 1)))
    tops = set()
    for node in graph.nodes:
        if isinstance(node, Contraction):
            book = node.weight_format
            assert isinstance(book, Codebook) and book.magnitudes == 8
            assert np.abs(node.weight).max() == book.maximum, node.name
            tops.add(book.top)
    assert len(tops) > 3


def test_codes_are_what_a_model_stores() -> None:
    uniform, codes = (
        freeze(calibrated(options), input_spec((8, 8, 8, 1))) for options in ({"weight_bits": 4}, SCHEMES[2])
    )
    assert codes.weight_bits == uniform.weight_bits


def test_the_dynamic_codebook_moves_with_training_and_the_report_says_so() -> None:
    model = calibrated({"codebook": "dqc", "weight_bits": 4})
    assert set(model.crossings().values()) == {0}
    first = model.contractions[0]
    with torch.no_grad():
        first.weight.mul_(2.0)
    train(model, 1)
    with torch.no_grad():
        first.weight.mul_(0.25)
    model.freeze_scales()
    model.freeze_statistics()
    train(model, 1)  # scales and statistics are constants, the codebook still follows
    assert model.crossings()[first.name] == 2
    assert model.crossings()[model.contractions[1].name] == 0
    assert prepare(network(), samples(1), QuantConfig(), VOXELS).crossings() == {}


def test_portions_are_quantised_before_statistics_are_frozen() -> None:
    model = calibrated({"codebook": "inq", "weight_bits": 4})
    model.quantize_portion(0.5)
    with pytest.raises(ValueError, match="freeze_scales, which quantises the weights left"):
        model.freeze_statistics()
    model.freeze_scales()
    before = [stage.quantized_weight().detach().clone() for stage in model.contractions]
    train(model)
    assert all(torch.equal(a, s.quantized_weight()) for a, s in zip(before, model.contractions, strict=True))


@pytest.mark.parametrize("codebook", ["dqc", "sqc", "inq", "kmeans"])
@pytest.mark.parametrize(("value", "message"), [(0.0, "all its weights are 0"), (math.nan, "a weight is not finite")])
def test_a_layer_without_a_codebook_is_named(codebook: str, value: float, message: str) -> None:
    prepared = prepare(network(), samples(1), QuantConfig(codebook=codebook), VOXELS)
    with torch.no_grad():
        prepared.contractions[0].weight.fill_(value)
    with pytest.raises(ValueError, match=f"^0: [^\\n]*{message}"):
        # A layer may begin with zeros, which training fills; after that it may not have any but zeros.
        prepared.calibrate([samples(1)])
    # Likewise when training gets there.
    if codebook != "kmeans":
        prepared = calibrated({"codebook": codebook})
        with torch.no_grad():
            prepared.contractions[3].weight.fill_(value)
        with pytest.raises(ValueError, match=f"^{prepared.contractions[3].name}: [^\\n]*{message}"):
            prepared.eval()(samples(1))


def test_a_codebook_whose_sums_are_too_wide_is_refused_with_its_layer() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(32, 4, 2), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))
    fmt = Format(16, True, 8)
    x = torch.randint(fmt.minimum, fmt.maximum + 1, (8, 32, 2, 2, 2)) * 2.0**-8
    for bits in (5, 6):
        model = prepare(net, x, QuantConfig(codebook="dqc", weight_bits=bits), fmt)
        if bits == 5:
            model.calibrate([x])
            continue
        with pytest.raises(ValueError, match=r"^0: its sums need \d+ bits, 53 are exact; use fewer weight bits, or"):
            model.calibrate([x])


@pytest.mark.parametrize(
    ("scale", "head", "message"),
    [
        (3e-7, False, None),  # fine sums, but the scale that the output begins with is not the one that it gets
        (1e-6, True, r"^3: \S+ is added to channel \d .* or its bias\), so much that .*; lower it, or scale"),
        (
            1e-12,
            False,
            r"^0: its powers of two reach down to 2\*\*-\d+, 2\*\*-64 is the least; use fewer weight bits, or",
        ),
    ],
)
def test_codes_of_small_weights_are_calibrated_or_the_layer_says_what_to_change(
    scale: float, head: bool, message: str | None
) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(2, 4, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3, bias=head))
    with torch.no_grad():
        net[0].weight.mul_(scale)
    fmt = Format(8, True, 7)
    x = torch.randint(-128, 128, (8, 2, 2, 2, 2)) * 2.0**-7
    model = prepare(net, x, QuantConfig(codebook="dqc", weight_bits=6), fmt)
    if message is not None:
        with pytest.raises(ValueError, match=message):
            model.calibrate([x])
        return
    model.calibrate([x])
    assert model.eval()(x).abs().max() > 0


@pytest.mark.parametrize(("bits", "least"), [(5, 1 << 13), (6, 1 << 4)])
def test_wide_codebooks_leave_batch_norm_its_precision(bits: int, least: int, tmp_path: Path) -> None:
    """Sums of 2**15 or 2**31 times the least weight: the offsets are as wide, and multipliers stay multipliers."""
    nodes = assert_golden(calibrated({"codebook": "dqc", "weight_bits": bits}), tmp_path)
    affine = [node.requant for node in nodes if node.requant.affine and len(set(node.requant.multipliers)) > 1]
    assert len(affine) >= 3 and all(np.abs(requant.multipliers).max() >= least for requant in affine)
    assert max(requant.offset_bits for requant in affine) > 32


def test_with_float_activations_only_weights_are_quantised() -> None:
    """The prepared model is the float one with quantised weights in place of its own, batch norm by the batch."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.AvgPool3d(2), nn.Flatten())
    model.append(nn.Linear(4 * 27, 3))
    x = samples()
    options = {"codebook": "dqc", "weight_bits": 3, "activations": "float"}
    prepared = prepare(model, x, QuantConfig(**options), VOXELS)
    with pytest.raises(ValueError, match="calibrate"):
        prepared(x)
    prepared.calibrate([x])
    train(prepared)
    plain = copy.deepcopy(model)
    with torch.no_grad():
        for stage, layer in zip(prepared.contractions, (plain[0], plain[5]), strict=True):
            layer.weight.copy_(stage.quantized_weight().view_as(layer.weight))
            if stage.bias is not None:
                layer.bias.copy_(stage.bias)
        norm = prepared.contractions[0].batch_norm
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(plain[1], name).copy_(getattr(norm, name))
        # The convolution's bias is in batch norm: its statistics are taken on the sums without it.
        plain[0].bias.zero_()
    for mode in (False, True):
        assert torch.allclose(prepared.train(mode)(x), plain.train(mode)(x), atol=1e-5), mode
    assert all(not p.requires_grad for n, p in prepared.named_parameters() if n.endswith("output_quantizer.log2_scale"))
    with pytest.raises(ValueError, match='^net: activations = "float" cannot be frozen'):
        freeze(prepared, input_spec((8, 8, 8, 1)), name="net")


@pytest.mark.parametrize("shortcut", ["pad", "convolution"])
def test_residual_networks_of_codes_equal_golden(shortcut: str) -> None:
    """2D layers, forks and sums; the parameter-free shortcut is no codebook's business."""
    torch.manual_seed(0)
    net = ResNet(classes=3, depth=8, input_shape=(2, 1, 8, 8), widths=(4, 6, 8), shortcut=shortcut)
    fmt = Format(8, True, 7)
    x = torch.randint(-128, 128, (6, 2, 1, 8, 8)) / 128
    model = prepare(net, x, QuantConfig(codebook="dqc", weight_bits=4, zero=True, activation_bits=6), fmt)
    model.calibrate([x])
    model.train()
    optimizer = torch.optim.SGD(model.parameter_groups(1e-2, 0.0, 1e-2))
    for advance in (model.freeze_scales, lambda: model.freeze_statistics([x]), lambda: None):
        nn.functional.cross_entropy(model(x), torch.arange(6) % 3).backward()
        optimizer.step()
        optimizer.zero_grad()
        advance()
    trained = model(x).detach()
    graph = freeze(model, input_spec((1, 8, 8, 2), 1, 128, fmt))
    wanted = golden.run(graph, (x * 128).to(torch.int64).permute(0, 2, 3, 4, 1).numpy(), intermediates=True)
    for name, value in model.eval().forward_all(x).items():
        assert np.array_equal(value.permute(0, 2, 3, 4, 1).numpy(), wanted[name]), name
    assert torch.equal(trained, model(x))
    uncoded = {n.name for n in graph.nodes if isinstance(n, Contraction) and not isinstance(n.weight_format, Codebook)}
    assert len(uncoded) == (2 if shortcut == "pad" else 0)


@pytest.mark.parametrize("shortcut", ["pad", "convolution"])
def test_float_activations_pass_forks_and_sums(shortcut: str) -> None:
    """Weights that are powers of two already are left as they are: the prepared model computes the float network."""
    torch.manual_seed(0)
    net = ResNet(classes=3, depth=8, input_shape=(2, 1, 8, 8), widths=(4, 6, 8), shortcut=shortcut)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                exponent = torch.randint(-4, 0, parameter.shape).float()
                parameter.copy_(torch.where(parameter < 0, -1.0, 1.0) * 2.0**exponent)
    x = torch.randint(-128, 128, (6, 2, 1, 8, 8)) / 128
    config = QuantConfig(codebook="dqc", weight_bits=3, activations="float")
    model = prepare(net.eval(), x, config, Format(8, True, 7))
    model.calibrate([x])
    assert torch.allclose(model.train()(x), net.train()(x[:, :, 0]), atol=1e-4)


def test_float_activations_train_under_autocast_and_evaluate_without() -> None:
    torch.manual_seed(0)
    net = ResNet(classes=3, depth=8, input_shape=(2, 1, 8, 8), widths=(4, 6, 8))
    x = torch.randint(-128, 128, (6, 2, 1, 8, 8)) / 128
    model = prepare(net.eval(), x, QuantConfig(codebook="dqc", activations="float"), Format(8, True, 7))
    model.calibrate([x])
    for training in (True, False):
        expected = model.train(training)(x)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(x)
        assert torch.allclose(found.float(), expected, atol=0.05) and torch.equal(found, expected) is not training
