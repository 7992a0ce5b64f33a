"""Networks that are graphs: what joins what, what is refused, and random ones equal to the golden model."""

import operator
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT, Add
from qtt_hw.lower.kinds.add import AddStage
from qtt_hw.lower.kinds.subsample import SubsampleStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn import Subsample, TTConv3d
from qtt_hw.quant import QuantConfig
from qtt_hw.quant.fake import best_frac
from tests.batch_norms import disturb

IMAGE = Format(8, True, 7)
SHAPE = (3, 4, 2)
CHANNELS = 3


class Net(nn.Module):
    """A convolution, whatever the test does with its result, and a head over the flattened map."""

    def __init__(self, middle: Callable[[nn.Module, Tensor], Tensor], features: int = CHANNELS * 24) -> None:
        super().__init__()
        self.middle = middle
        self.stem = nn.Conv3d(CHANNELS, CHANNELS, 1)
        self.one, self.two = (nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2))
        self.norm, self.other_norm, self.relu = nn.BatchNorm3d(CHANNELS), nn.BatchNorm3d(CHANNELS), nn.ReLU()
        self.pool = nn.MaxPool3d(1)
        self.average = nn.AvgPool3d(1)
        self.skip = Subsample(CHANNELS, 2 * CHANNELS, 2)
        self.wide = nn.Conv3d(CHANNELS, 2 * CHANNELS, 3, 2, 1)
        self.head = nn.Linear(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, self.stem(x)), 1))


def lowered(middle: Callable[[nn.Module, Tensor], Tensor], features: int = CHANNELS * 24) -> PreparedModel:
    torch.manual_seed(0)
    return prepare(Net(middle, features), torch.zeros(1, CHANNELS, *SHAPE), input_format=IMAGE)


def wiring(model: PreparedModel) -> list[tuple[str, tuple[str, ...]]]:
    return [(stage.name, stage.inputs) for stage in model.stage_list]


def block(net: nn.Module, x: Tensor) -> Tensor:
    x = net.relu(x)
    y = net.norm(net.one(x))
    y += x
    return net.relu(y)


@pytest.mark.parametrize(
    ("name", "add"),
    [
        ("add", operator.iadd),
        ("add", operator.add),
        ("add", torch.add),
        ("add", lambda a, b: a.add(other=b, alpha=1)),
        ("add_", lambda a, b: a.add_(b)),
    ],
)
def test_a_residual_block_in_any_spelling(name: str, add: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = lowered(lambda net, x: net.relu(add(net.norm(net.one(x := net.relu(x))), x)))
    assert wiring(model) == [("stem", (INPUT,)), ("one", ("stem",)), (name, ("one", "stem")), ("head", (name,))]
    stem, one, total, head = model.stage_list
    assert stem.relu and not one.relu and one.batch_norm is not None and isinstance(total, AddStage)
    assert not total.output_quantizer.signed and total.output_quantizer.bits == 8
    assert head.output_quantizer.bits == 16


def test_a_sum_is_signed_unless_nothing_in_it_can_be_negative() -> None:
    def of(middle: Callable[[nn.Module, Tensor], Tensor]) -> bool:
        (add,) = (s for s in lowered(middle).stage_list if isinstance(s, AddStage))
        return add.output_quantizer.signed

    assert of(lambda net, x: net.one(x) + x)
    assert of(lambda net, x: net.one(x).relu() + x)
    assert not of(lambda net, x: net.one(x).relu() + net.two(x).relu())
    assert not of(lambda net, x: torch.relu(net.one(x).relu() + net.two(x).relu()))
    assert not of(lambda net, x: net.pool(net.one(x) + x).relu())


def test_the_network_s_output_may_be_a_sum_with_the_bits_of_logits(inputs, assert_equal) -> None:
    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(2, 3), nn.Linear(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            return self.one(x).relu() + self.two(x).relu()

    model = prepare(Ends(), torch.zeros(1, 2, 1, 1, 1), QuantConfig(logit_bits=11), IMAGE)
    assert [stage.output_quantizer.bits for stage in model.stage_list] == [8, 8, 11]
    assert model.stage_list[-1].output_quantizer.signed
    values = inputs(IMAGE, (4, 1, 1, 1, 2), 0)
    model.calibrate([values[1]])
    assert_equal(model, *values)


def test_flattened_maps_are_added_in_the_order_of_the_flattening(inputs, assert_equal) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = nn.Conv3d(CHANNELS, 2, 1), nn.Linear(CHANNELS * 24, 2 * 24)
            self.head = nn.Linear(2 * 24, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(x).flatten(1) + self.linear(x.flatten(1)))

    torch.manual_seed(0)
    net = Flat().eval()
    x, values = inputs(IMAGE, (4, *SHAPE, CHANNELS), 0)
    config = QuantConfig(weight_bits=8, activation_bits=8)
    model = prepare(net, values[:1], config, IMAGE)
    model.calibrate([values])
    assert_equal(model, x, values)
    with torch.no_grad():
        assert (model(values) - net(values)).abs().max() < 0.05 * net(values).abs().max()


ONE_A_CHANNEL = "one value a channel at all positions, which is not supported; a product is"


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (
            lambda net, x: x + net.one(x).mean((2, 3, 4), keepdim=True),
            f"add (add) adds [3, 1, 1, 1] to [3, 3, 4, 2], {ONE_A_CHANNEL}",
        ),
        (
            lambda net, x: net.one(x) + net.two(x)[:, :1, :, :, :],
            "add (add) adds [1, 3, 4, 2] to [3, 3, 4, 2]; give both branches the same shape",
        ),
    ],
)
def test_what_cannot_be_represented_is_refused(middle: Callable[[nn.Module, Tensor], Tensor], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        lowered(middle)
    assert str(caught.value) == text


def test_broadcasting_sums_are_refused() -> None:
    class Broad(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.pool = nn.Conv3d(CHANNELS, 2, 1), nn.AdaptiveAvgPool3d(1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.one(x)
            return y + self.pool(y)

    text = rf"^add \(add\) adds \[2, 1, 1, 1\] to \[2, 3, 4, 2\], {ONE_A_CHANNEL}$"
    with pytest.raises(ValueError, match=text):
        prepare(Broad(), torch.zeros(1, CHANNELS, *SHAPE), input_format=IMAGE)


def test_a_module_may_be_called_add() -> None:
    class Named(Net):
        def __init__(self) -> None:
            super().__init__(lambda net, x: net.add(x))
            self.add = nn.Conv3d(CHANNELS, CHANNELS, 1)

    model = prepare(Named(), torch.zeros(1, CHANNELS, *SHAPE), input_format=IMAGE)
    assert [stage.name for stage in model.stage_list] == ["stem", "add", "head"]


def test_an_addition_is_named_by_the_module_that_makes_it() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(CHANNELS, CHANNELS, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.conv(x)

    net = nn.Sequential(nn.Sequential(Block(), Block()), nn.Flatten(), nn.Linear(CHANNELS * 24, 3))
    model = prepare(net, torch.zeros(1, CHANNELS, *SHAPE), input_format=IMAGE)
    assert [stage.name for stage in model.stage_list] == ["0.0.conv", "0.0.add", "0.1.conv", "0.1.add", "2"]
    assert model.stage_list[1].inputs == (INPUT, "0.0.conv")


@st.composite
def programs(draw: st.DrawFn) -> list[tuple[str, int, int, bool, bool]]:
    """Steps (kind, operand, operand, batch norm, ReLU) on the results so far, the input being the first."""
    steps = []
    for count in range(1, draw(st.integers(2, 7)) + 1):
        kind = draw(st.sampled_from(["conv", "tt", "add", "max", "average"]))
        a = draw(st.integers(max(0, count - 3), count - 1))
        b = draw(st.integers(0, count - 1))
        steps.append((kind, a, b, draw(st.booleans()), draw(st.booleans())))
    return steps


class Random(nn.Module):
    """A random program of layers that all keep the shape; what is left unread is added up before the head."""

    def __init__(self, program: list[tuple[str, int, int, bool, bool]]) -> None:
        super().__init__()
        self.program = program
        layers: dict[str, nn.Module] = {}
        for i, (kind, _, _, norm, _) in enumerate(program):
            if kind == "conv":
                layers[f"conv{i}"] = nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1, bias=i % 2 == 0)
            elif kind == "tt":
                layers[f"conv{i}"] = TTConv3d(CHANNELS, CHANNELS, 3, 2, padding=1, bias=i % 2 == 0)
            elif kind == "max":
                layers[f"pool{i}"] = nn.MaxPool3d(3, 1, 1)
            else:
                layers[f"pool{i}"] = nn.AvgPool3d((3, 3, 1), 1, (1, 1, 0), count_include_pad=False)
            if norm and kind in ("conv", "tt"):
                layers[f"norm{i}"] = nn.BatchNorm3d(CHANNELS)
        self.layers = nn.ModuleDict(layers)
        self.head = nn.Linear(CHANNELS * 24, 3)

    def forward(self, x: Tensor) -> Tensor:
        results, read = [x], set()
        for i, (kind, a, b, _, relu) in enumerate(self.program):
            if kind == "add" and a != b:
                y = results[a] + results[b]
                read |= {a, b}
            else:
                read.add(a)
                y = self.layers[f"conv{i}" if f"conv{i}" in self.layers else f"pool{i}"](results[a])
            if f"norm{i}" in self.layers:
                y = self.layers[f"norm{i}"](y)
            if relu and kind in ("conv", "tt", "add"):
                y = torch.relu(y) if kind != "add" or a != b else y
            results.append(y)
        rest = [y for i, y in enumerate(results) if i not in read]
        total = rest[0]
        for y in rest[1:]:
            total = total + y
        return self.head(total.flatten(1))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    programs(),
    st.sampled_from([Format(1, False, 0), IMAGE]),
    st.sampled_from([{}, {"scales": "fixed"}, {"codebook": "dqc"}, {"codebook": "dqc", "zero": True}]),
    st.integers(2, 8),
    st.integers(0, 2**31),
)
def test_random_graphs_are_equal_in_every_phase(
    inputs, assert_equal, program, fmt: Format, how: dict, bits: int, seed: int
) -> None:
    model = Random(program)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    disturb(model)
    x, values = inputs(fmt, (4, *SHAPE, CHANNELS), seed)
    prepared = prepare(model, values[:1], QuantConfig(activation_bits=bits, **how), fmt)
    prepared.calibrate([values[:3], values[3:]])
    graph = assert_equal(prepared, x, values)
    assert sum(isinstance(node, Add) for node in graph.nodes) == sum(isinstance(s, AddStage) for s in prepared.stages)
    prepared.freeze_scales()
    prepared.freeze_statistics([values])
    assert_equal(prepared, x, values)
    evaluated = prepared(values)
    prepared.train()
    trained = prepared(values)
    assert torch.equal(trained, evaluated)
    trained.square().sum().backward()
    assert all(p.grad is not None for name, p in prepared.named_parameters() if not name.endswith("log2_scale"))


def test_the_scale_of_a_sum_is_calibrated_on_the_integer_inputs(inputs) -> None:
    model = lowered(block)
    values = inputs(IMAGE, (16, *SHAPE, CHANNELS), 1)[1]
    model.calibrate([values[:9], values[9:]])
    outputs = model.forward_all(values)
    stem, one, add = model.stage_list[:3]
    total = sum(outputs[s.name].double() * 2.0**-s.output_quantizer.frac for s in (stem, one))
    assert add.output_quantizer.frac == best_frac(total.clamp(min=0), 8, False)
    assert set(model.clip_rates()) == {"stem", "one", "add", "head"}
    assert 0.0 <= model.clip_rates()["add"] < 0.1


def test_shortcuts_of_zeros_pass_values_and_relus_on(inputs, assert_equal) -> None:
    def middle(net: nn.Module, x: Tensor) -> Tensor:
        return net.relu(net.norm2(net.wide(x := net.relu(x))) + net.skip(x))

    net = Net(middle, 2 * CHANNELS * 4)
    net.norm2 = nn.BatchNorm3d(2 * CHANNELS)
    x, values = inputs(IMAGE, (4, *SHAPE, CHANNELS), 0)
    model = prepare(net, values, input_format=IMAGE)
    assert [type(s) for s in model.stage_list][2] is SubsampleStage
    model.calibrate([values])
    graph = assert_equal(model, x, values)
    edges = graph.edges
    assert edges["skip"].format == edges["stem"].format and edges["skip"].channels == 2 * CHANNELS
    moved = lowered(lambda net, x: net.wide(x).relu() + net.skip(net.one(x)).relu(), 2 * CHANNELS * 4)
    assert {s.name: s.relu for s in moved.stage_list if hasattr(s, "relu")}["one"]


def test_a_flattened_map_is_not_subsampled() -> None:
    net = nn.Sequential(nn.Conv3d(2, 4, 3), nn.Flatten(), Subsample(108, 120, 2))
    with pytest.raises(ValueError, match=r"2 \(Subsample\) reads \[N, CDHW\] of a volume, which is not supported; "):
        prepare(net, torch.zeros(1, 2, 5, 5, 5))


def test_a_layer_that_begins_with_zeros_may_have_a_codebook() -> None:
    """Training fills it; only what is still zero then is refused."""
    head = nn.Linear(4, 3)
    nn.init.zeros_(head.weight)
    net = nn.Sequential(nn.Conv3d(1, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), head)
    prepared = prepare(net, torch.zeros(1, 1, 4, 4, 4), QuantConfig(codebook="dqc"))
    with pytest.raises(ValueError, match="3: all its weights are 0"):
        prepared.calibrate([torch.ones(2, 1, 4, 4, 4)])
