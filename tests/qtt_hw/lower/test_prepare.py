"""The prepared model: phases, state, gradients, optimiser groups, and evaluation whatever is switched on."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qtt_hw.errors import DropoutWarning
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import golden
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn import ConvBlock, QTTConv3d, TTLinear
from qtt_hw.quant import QuantConfig

VOXELS = Format(1, False, 0)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        ConvBlock(1, 4, 3, None, 2, 1),
        ConvBlock(4, 6, 3, 3, 1, 1),
        nn.MaxPool3d(2),
        nn.AvgPool3d(2, 1, 1, count_include_pad=False),
        nn.Flatten(),
        TTLinear((6, 27), (4, 2), 3, bias=True),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def samples(n: int = 8, seed: int = 0) -> Tensor:
    return (torch.rand(n, 1, 8, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def prepared(calibrated: bool = True, **bits: int) -> PreparedModel:
    model = prepare(network(), samples(1), QuantConfig(**bits), VOXELS)
    if calibrated:
        model.calibrate([samples(4, 1), samples(4, 2)])
    return model


def train(model: PreparedModel, steps: int = 3) -> list[float]:
    """Losses of a few steps of Adam on fixed labels."""
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


def test_every_parameter_learns_in_every_phase() -> None:
    model = prepared()
    for freeze_next in (lambda: None, model.freeze_scales, model.freeze_statistics):
        freeze_next()
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        train(model)
        for name, p in model.named_parameters():
            learns = p.requires_grad and not (name.endswith("log2_scale") and model.scales_frozen)
            assert torch.equal(before[name], p.detach()) is not learns, name


def test_training_lowers_the_loss_before_and_after_the_freeze() -> None:
    model = prepared()
    losses = train(model, 15)
    assert losses[-1] < 0.9 * losses[0]
    model.freeze_scales()
    model.freeze_statistics([samples()])
    losses = train(model, 15)
    assert losses[-1] < 0.9 * losses[0]


def test_a_checkpoint_resumes_in_its_phase_to_the_bit() -> None:
    model = prepared()
    for advance in (lambda: None, model.freeze_scales, lambda: model.freeze_statistics([samples()])):
        advance()
        train(model, 2)
        other = prepare(network(), samples(1), QuantConfig(), VOXELS)
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        assert (other.calibrated, other.scales_frozen, other.statistics_frozen) == (
            model.calibrated,
            model.scales_frozen,
            model.statistics_frozen,
        )
        assert torch.equal(model(samples()), other(samples()))
        assert torch.equal(model.eval()(samples()), other.eval()(samples()))
        assert train(model, 2) == train(other, 2)
        for name, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_frozen_scales_stay_whatever_happens_to_their_parameters() -> None:
    model = prepared()
    model.freeze_scales()
    formats = [s.output_quantizer.format for s in model.stages if isinstance(s, ContractionStage)]
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("log2_scale"):
                p.add_(2.0)
    assert [s.output_quantizer.format for s in model.stages if isinstance(s, ContractionStage)] == formats


def test_phases_come_in_order() -> None:
    model = prepared(calibrated=False)
    for call in (
        lambda: model(samples()),
        lambda: model.forward_all(samples()),
        model.freeze_scales,
        model.freeze_statistics,
        lambda: freeze(model, input_spec((8, 8, 8, 1))),
    ):
        with pytest.raises(ValueError, match="calibrate"):
            call()
    model.calibrate([samples()])
    model.freeze_scales()
    with pytest.raises(ValueError, match="calibrate comes before freeze_scales"):
        model.calibrate([samples()])


def test_optimiser_groups_cover_every_parameter_once() -> None:
    model = prepared()
    groups = {group["name"]: group for group in model.parameter_groups(1e-3, 1e-2, 1e-4)}
    assert [(g["lr"], g["weight_decay"]) for g in groups.values()] == [(1e-3, 1e-2), (1e-3, 0.0), (1e-4, 0.0)]
    names = {id(p): name for name, p in model.named_parameters()}
    found = {kind: {names[id(p)] for p in group["params"]} for kind, group in groups.items()}
    assert set.union(*found.values()) == set(names.values())
    assert sum(map(len, found.values())) == len(names)
    assert all(name.endswith("log2_scale") for name in found["scales"])
    assert all(".batch_norm." in name or name.endswith(".bias") for name in found["affine"])
    assert {n.rpartition(".")[2] for n in found["weights"]} == {"weight"}


def test_groups_stay_the_same_through_the_phases() -> None:
    """An optimiser made in one phase can be loaded in another."""
    model = prepared()
    before = [[id(p) for p in g["params"]] for g in model.parameter_groups(1, 0, 1)]
    model.freeze_scales()
    model.freeze_statistics()
    assert [[id(p) for p in g["params"]] for g in model.parameter_groups(1, 0, 1)] == before


def test_clip_rates_are_shares_by_contraction() -> None:
    model = prepared(calibrated=False)
    names = [s.name for s in model.stages if isinstance(s, ContractionStage)]
    assert list(model.clip_rates()) == names and all(math.isnan(r) for r in model.clip_rates().values())
    model.calibrate([samples()])
    assert all(0.0 <= rate < 0.2 for rate in model.clip_rates().values())
    with torch.no_grad():
        model.stages[0].output_quantizer.log2_scale.fill_(-20.0)
    model.train()(samples())
    assert model.clip_rates()[names[0]] > 0.3


def test_evaluation_follows_the_parameters() -> None:
    """Folded integers are kept between calls, never beyond a change."""
    model = prepared().eval()
    first = model(samples())
    assert torch.equal(model(samples()), first)
    with torch.no_grad():
        model.stages[-1].weight.neg_()
    second = model(samples())
    assert not torch.equal(second, first)
    fresh = prepare(network(), samples(1), QuantConfig(), VOXELS)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.eval()(samples()), second)


@contextmanager
def without_onednn() -> Iterator[None]:
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)


@contextmanager
def low_precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "surroundings", [lambda: torch.autocast("cpu", dtype=torch.bfloat16), without_onednn, low_precision]
)
def test_integers_are_the_same_in_any_surroundings(surroundings, training: bool) -> None:
    model = prepared()
    model.freeze_scales()
    model.freeze_statistics()
    expected = model.eval()(samples())
    model.train(training)
    with surroundings():
        assert torch.equal(model(samples()), expected)


def test_what_is_folded_follows_every_edit() -> None:
    """Also those that leave no trace but the values: of a tensor's .data, as optimisers of others write it."""
    model = prepared()
    model.freeze_scales()
    model.eval()
    x = samples()

    def integers() -> dict[str, Tensor]:
        afresh = copy.deepcopy(model).train().eval()  # a change of mode forgets
        found, expected = model.forward_all(x), afresh.forward_all(x)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        return found

    before = integers()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.dtype.is_floating_point and not tensor.ndim == 0:
                tensor.data.copy_(tensor.data.flip(0) + 0.25)
                before, last = integers(), before
                assert any(not torch.equal(before[name], last[name]) for name in before), tuple(tensor.shape)
        model.stage_list[0].weight_quantizer.constant.data[1] += 1
        integers()
    model.contractions[0].batch_norm.eps = 0.5
    after = integers()
    assert not torch.equal(after["0.conv"], before["0.conv"])


def test_wide_sums_are_held_in_float64() -> None:
    """8-bit weights on 16-bit inputs pass 2**24, where float32 would round."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv3d(2, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 4, 3), nn.Flatten(), nn.Linear(32, 3))
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    fmt = Format(16, True, 8)
    x = np.random.default_rng(0).integers(fmt.minimum, fmt.maximum + 1, (3, 4, 4, 4, 2))
    values = torch.from_numpy(x).permute(0, 4, 1, 2, 3).float() * 2.0**-8
    model = prepare(net, values, QuantConfig(weight_bits=8, activation_bits=8), fmt)
    model.calibrate([values])
    assert model.stage_list[0].fold(fmt).bound > 1 << 24
    model.freeze_scales()
    model.freeze_statistics()
    graph = freeze(model, input_spec((4, 4, 4, 2), format=fmt))
    expected = golden.run(graph, x, intermediates=True)
    trained = model(values)
    model.eval()
    for name, integers in model.forward_all(values).items():
        assert torch.equal(integers.permute(0, 2, 3, 4, 1), torch.from_numpy(expected[name])), name
    assert torch.equal(trained, model(values))


def test_batches_may_carry_labels_and_must_not_be_missing() -> None:
    x = samples()
    one, two = prepared(calibrated=False), prepared(calibrated=False)
    one.calibrate([x])
    two.calibrate([(x, torch.zeros(8))])
    assert torch.equal(one.eval()(x), two.eval()(x))
    with pytest.raises(ValueError, match="at least one batch"):
        one.calibrate([])
    takes = r"^inputs are tensors \[N, 1, 8, 8, 8\], got a "
    for batch, kind in (({"x": x}, "dict"), (x.numpy(), "ndarray"), ((), "tuple"), (None, "NoneType")):
        with pytest.raises(ValueError, match=takes + kind):
            one.calibrate([batch])
        with pytest.raises(ValueError, match=takes + kind):
            two.eval()(batch)
    with pytest.raises(ValueError, match="^batches of inputs are needed, as a list or a DataLoader, got a NoneType$"):
        one.calibrate(None)  # type: ignore[arg-type]


def test_evaluation_does_not_depend_on_the_batch() -> None:
    model = prepared().eval()
    x = samples(70)
    together = model(x)
    assert torch.equal(torch.cat([model(part) for part in x.split(9)]), together)
    assert together.shape == (70, 3) and together.dtype == torch.float32 and not together.requires_grad
    assert model.forward_all(x)[model.stages[-1].name].shape == (70, 3, 1, 1, 1)


def test_refuses_other_inputs() -> None:
    model = prepared()
    for call in (model, model.forward_all):
        with pytest.raises(ValueError, match=r"shape \[1, 1, 8, 8, 9\] given, the model takes \[N, 1, 8, 8, 8\]"):
            call(torch.zeros(1, 1, 8, 8, 9))
    with pytest.raises(ValueError, match=r"not an integer of 0 to 1 times 2\*\*0"):
        model.eval()(torch.full((1, 1, 8, 8, 8), 2.0))


def test_freezing_needs_the_models_own_input() -> None:
    model = prepared()
    with pytest.raises(ValueError, match=r"^net: samples are preprocessed to \[4, 4, 4, 8\]"):
        freeze(model, input_spec((8, 8, 8, 1), block=2), name="net")
    with pytest.raises(ValueError, match="2 labels for 3 logits"):
        freeze(model, input_spec((8, 8, 8, 1)), ("a", "b"))
    for labels in (None, "abc", (1, 2, 3)):
        with pytest.raises(ValueError, match=r"^net: labels are a sequence of class names, \(\) for none, got "):
            freeze(model, input_spec((8, 8, 8, 1)), labels, "net")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^net: label 'b' is given to two classes$"):
        freeze(model, input_spec((8, 8, 8, 1)), ("a", "b", "b"), "net")
    with pytest.raises(
        ValueError, match="^net: what is frozen is a prepared model, got a Sequential; prepare it first$"
    ):
        freeze(network(), input_spec((8, 8, 8, 1)), (), "net")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^net: how samples become inputs is said by an InputSpec, got a NoneType$"):
        freeze(model, None, (), "net")  # type: ignore[arg-type]
    graph = freeze(model, input_spec((8, 8, 8, 1)), ("a", "b", "c"), "net")
    assert (graph.name, graph.labels) == ("net", ("a", "b", "c"))
    assert [node.source for node in graph.nodes if node.name.startswith("1.conv")] == ["1.conv"] * 5


@pytest.mark.parametrize("config", [QuantConfig(weight_bits=4), QuantConfig(weight_bits=4, tt_form="merged")])
def test_what_is_not_to_be_trained_is_not(config: QuantConfig) -> None:
    net = nn.Sequential(
        nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), QTTConv3d(2, 2, (2,), (2,), 2, 2, bias=True), nn.Flatten()
    ).append(nn.Linear(2 * 343, 3))
    for tensor in (net[0].weight, net[1].bias, net[2].spatial, net[2].cores[0], net[4].bias):
        tensor.requires_grad_(False)
    model = prepare(net, samples(1), config)
    kept = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    first, train = model.contractions[0], [s for s in model.contractions if s.source == "2"]
    assert not first.weight.requires_grad and first.batch_norm.weight.requires_grad
    assert not first.batch_norm.bias.requires_grad
    assert not any(weight.requires_grad for stage in train for weight in stage.float_weights)
    assert train[-1].bias.requires_grad
    assert model.contractions[-1].weight.requires_grad and not model.contractions[-1].bias.requires_grad
    model.calibrate([samples()])
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.train()
    nn.functional.cross_entropy(model(samples()), torch.arange(8) % 3).backward()
    torch.optim.SGD(model.parameters(), 1.0).step()
    assert all(torch.equal(before[name], model.get_parameter(name)) for name in kept)
    net[2].cores[0].requires_grad_(True)
    with pytest.raises(ValueError, match=r"^2 \(QTTConv3d\) has cores of which only some have requires_grad"):
        prepare(net, samples(1), config)


def test_centroids_stand_in_for_a_weight_that_is_not_trained() -> None:
    net = nn.Sequential(nn.Conv3d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 216, 3))
    net[0].weight.requires_grad_(False)
    first, second = prepare(net, samples(1), QuantConfig(codebook="kmeans", weight_bits=3)).contractions
    assert not first.weight_quantizer.centroids.requires_grad and second.weight_quantizer.centroids.requires_grad


def test_dropout_that_is_left_out_is_warned_of() -> None:
    net = nn.Sequential(
        nn.Conv3d(1, 2, 8), nn.Dropout3d(0.2), nn.Dropout(0.0), nn.Flatten(), nn.Dropout(), nn.Linear(2, 2)
    )
    with pytest.warns(DropoutWarning, match="^1, 4: the prepared model trains without dropout$") as caught:
        prepare(net, samples(1))
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize("scales", ["learned", "fixed"])
def test_without_a_momentum_running_statistics_are_the_mean_over_batches(scales: str) -> None:
    net = nn.Sequential(
        nn.Conv3d(1, 2, 4, bias=False), nn.BatchNorm3d(2, momentum=None), nn.Flatten(), nn.Linear(250, 2)
    )
    for seed in range(3):
        net.train()(samples(8, seed))
    model = prepare(net.eval(), samples(1), QuantConfig(scales=scales, activation_bits=8))  # type: ignore[arg-type]
    model.calibrate([samples(8, 3)])
    norm, x = model.contractions[0].batch_norm, torch.randn(8, 2, 5, 5, 5)
    before = norm.running_mean.clone()
    norm.train()(x)
    assert torch.allclose(norm.running_mean, 0.75 * before + 0.25 * x.mean((0, 2, 3, 4)), atol=1e-6)
    assert int(norm.num_batches_tracked) == 4
