"""Which calls of a model's forward are followed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.errors import SoftmaxWarning
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare

IMAGE = Format(8, True, 7)
SECOND = (
    "second (Conv3d) reads {} of a volume, which is not supported; [N, C, D, H, W] is, and [N, C, H, W] in 2D networks"
)


class Net(nn.Module):
    """conv, whatever the test does, then a head over the flattened map."""

    def __init__(self, middle: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.middle = middle
        self.conv, self.second = nn.Conv3d(1, 2, 1), nn.Conv3d(2, 2, 1)
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(2 * 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.middle(self, self.conv(x)), 1))


def stages(middle: Callable[[nn.Module, Tensor], Tensor]) -> list[str]:
    return [s.name for s in prepare(Net(middle), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE).stages]


@pytest.mark.parametrize(
    "middle",
    [
        lambda net, x: F.relu(x),
        lambda net, x: torch.relu(x),
        lambda net, x: x.relu(),
        lambda net, x: F.relu(x, inplace=True).contiguous(),
    ],
)
def test_functional_relus_are_followed(middle: Callable[[nn.Module, Tensor], Tensor]) -> None:
    model = prepare(Net(middle), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)
    assert [s.name for s in model.stages] == ["conv", "head"] and model.stages[0].relu


def test_flattening_in_any_spelling() -> None:
    assert stages(lambda net, x: torch.flatten(x, start_dim=1).relu()) == ["conv", "head"]
    assert stages(lambda net, x: x.flatten(1)) == ["conv", "head"]
    assert stages(lambda net, x: x.flatten(2)) == ["conv", "head"]
    assert stages(lambda net, x: x.view(x.size(0), -1)) == ["conv", "head"]
    assert stages(lambda net, x: x.reshape(-1, 16)) == ["conv", "head"]
    with pytest.raises(ValueError, match=r"^flatten \(flatten\) joins the samples of a batch"):
        stages(lambda net, x: x.flatten(0, 1).view(2, 2, 2, 2, 2))


def test_sizes_are_numbers_and_leave_no_calls() -> None:
    def middle(net: nn.Module, x: Tensor) -> Tensor:
        n, c, *positions = x.shape
        assert x.dim() == 5 and len(x) == n and x.size(1) == c == 2 and positions == [2, 2, 2]
        if x.shape[2] != 2 or x.numel() != n * 16 or x.dtype != torch.float32:
            raise ValueError("other sizes")
        return [x for _ in range(n)][0]

    assert stages(middle) == ["conv", "head"]
    assert [row.layer for row in check(Net(middle), torch.zeros(2, 1, 2, 2, 2), IMAGE)] == ["conv", "flatten", "head"]


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (
            lambda net, x: (x + net.second(x)) + net.scale.exp(),
            (
                "exp (exp) is computed of the parameter scale, which would not be trained by it; keep the result as "
                "the parameter"
            ),
        ),
        (
            lambda net, x: x * torch.ones(2, 2, 1, 1),
            (
                "mul (mul) takes a tensor of shape [2, 2, 1, 1] beside [N, C, D, H, W], which is not supported; one "
                "value a channel, or a single number, is"
            ),
        ),
        (
            lambda net, x: F.dropout(x),
            (
                "dropout (dropout) drops in evaluation too, which is not supported; with training=self.training it "
                "is followed"
            ),
        ),
        (
            lambda net, x: x.permute(0, 2, 1, 3, 4) + net.second(x),
            (
                "add (add) adds [N, C, D, H, W] of one volume to [N, D, C, H, W] of another, which is not supported; "
                "in one order it is"
            ),
        ),
        (lambda net, x: net.second(x.transpose(1, 2)), SECOND.format("[N, D, C, H, W]")),
        (lambda net, x: net.second(x.view(2, 2, 8, 1, 1)), SECOND.format("[N, C, DHW, 1, 1]")),
        (
            lambda net, x: x.cumsum(1),
            (
                "cumsum (cumsum) is not followed; a network is made of convolutions and linear layers, dense or in "
                "tensor trains, batch norm, pools, functions of one value, sums, products, concatenations and slices"
            ),
        ),
    ],
)
def test_other_calls_are_refused_by_name(middle: Callable[[nn.Module, Tensor], Tensor], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        stages(middle)
    assert str(caught.value) == text


def test_forward_that_depends_on_values_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError) as caught:
        stages(lambda net, x: x if x.sum() > 0 else -x)
    text = str(caught.value)
    assert text.startswith("Net: forward cannot be traced: test_walk.py, line ") and "\n" not in text


def test_a_model_that_does_not_run_on_the_example_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError) as caught:
        prepare(Net(lambda net, x: x), torch.zeros(2, 1, 3, 2, 2), input_format=IMAGE)
    text = str(caught.value)
    assert text.startswith("Net: does not run on an example of shape [2, 1, 3, 2, 2]: ") and "\n" not in text
    with pytest.raises(
        ValueError, match=r"example must have axes \[N, C, D, H, W\], \[N, C, H, W\] or \[N, C\], got \[2, 2, 2\]"
    ):
        prepare(Net(lambda net, x: x), torch.zeros(2, 2, 2), input_format=IMAGE)


class TwoInputs(Net):
    def forward(self, x: Tensor, *y: Tensor) -> Tensor:
        return super().forward(x)


class Options(Net):
    def forward(self, x: Tensor, y: Tensor | None = None, double: bool = False, *, times: int = 1) -> Tensor:
        if double or times > 1 or y is not None:
            x = x * 2
        return super().forward(x)


class TwoOutputs(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(x), x


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (TwoInputs, r"^\*y \(input\) is a second input; a network takes one$"),
        (TwoOutputs, r"^output \(output\) is not a single result; return the logits alone$"),
    ],
)
def test_one_input_and_one_output(kind: type[Net], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        prepare(kind(lambda net, x: x), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)


def test_arguments_that_nobody_gives_have_their_defaults() -> None:
    model = prepare(Options(lambda net, x: x), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)
    assert [stage.name for stage in model.stages] == ["conv", "head"]


def test_layers_in_a_list_are_told_of_nn_modulelist() -> None:
    hidden = [nn.Conv3d(2, 2, 1)]
    with pytest.raises(ValueError, match=r"keep them in an nn.ModuleList or nn.ModuleDict$"):
        prepare(Net(lambda net, x: hidden[0](x)), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)


@pytest.mark.filterwarnings("ignore:This overload of add")
def test_alpha_by_position_and_by_name() -> None:
    for middle in (
        lambda net, x: torch.add(x, 2, net.second(x)),
        lambda net, x: torch.add(x, other=net.second(x), alpha=2),
    ):
        assert stages(middle) == ["conv", "second", "add.scaled", "add", "head"]


def test_a_lone_layer_is_a_network() -> None:
    model = prepare(nn.Conv3d(1, 3, 2), torch.zeros(1, 1, 2, 2, 2), input_format=IMAGE)
    assert [s.name for s in model.stages] == ["0"]


def test_the_model_is_left_as_it_is() -> None:
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.Flatten(), nn.Linear(16, 3)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = prepare(net, torch.randn(2, 1, 2, 2, 2), input_format=IMAGE)
    model.calibrate([torch.zeros(2, 1, 2, 2, 2)])
    assert net.training and all(torch.equal(before[name], value) for name, value in net.state_dict().items())


class Branches(Net):
    """What torch.fx shows forward is no tensor."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.head(torch.flatten(self.second(y) if isinstance(x, Tensor) else y, 1))


def unsupported(model: nn.Module) -> list[tuple[str, str, str]]:
    found = check(model, torch.zeros(2, 1, 2, 2, 2), IMAGE)
    return [(row.layer, row.type, row.instead) for row in found if not row.supported]


def test_what_no_rule_sees_is_found_by_comparing_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    text = "computes something else than its layers one after the other: logits differ by "
    ((layer, kind, reason),) = unsupported(Branches(lambda net, x: x))
    assert (layer, kind) == ("", "model") and reason.startswith(text)
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    assert unsupported(net) == []
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: x.abs())
    ((layer, kind, reason),) = unsupported(net)
    assert (layer, kind) == ("", "model") and reason.startswith(text)


def _counted(net: nn.Module, x: Tensor) -> Tensor:
    net.count = getattr(net, "count", 0) + 1
    return F.max_pool3d(x * net.count, 1)


@pytest.mark.parametrize(
    "middle",
    [
        lambda net, x: x + torch.randn(1, 2, 1, 1, 1),
        lambda net, x: x * torch.bernoulli(torch.full((1, 2, 1, 1, 1), 0.5)),
        lambda net, x: x + torch.randn(1, 2, 1, 1, 1) if isinstance(x, Tensor) else x,
        lambda net, x: x + float(np.random.default_rng().random()),
        _counted,
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_forward_that_computes_otherwise_each_time_is_refused(middle, seed: int) -> None:
    torch.manual_seed(seed)
    with pytest.raises(ValueError, match=r"computes something else each time it runs on the same input"):
        stages(middle)


def test_what_is_drawn_and_left_is_no_matter() -> None:
    assert stages(lambda net, x: x.relu() if float(torch.rand(())) < 2 else x) == ["conv", "head"]


def test_nothing_is_drawn_from_torch_s_random_state() -> None:
    net = Net(lambda net, x: x)
    before = torch.get_rng_state()
    prepare(net, torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("middle", "line", "reason"),
    [
        (lambda net, x: x if x.sum() > 0 else -x, "x if x.sum() > 0 else -x", "reads a result's values: only on its"),
        (lambda net, x: _checked(net, x), 'raise TypeError("no tensor")', "TypeError: no tensor"),
    ],
)
def test_a_trace_that_fails_says_where_and_why(middle, line: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        stages(middle)
    text = str(caught.value)
    assert text.startswith("Net: forward cannot be traced: test_walk.py, line ") and "\n" not in text
    assert line in text and reason in text


def _checked(net: nn.Module, x: Tensor) -> Tensor:
    net.runs = getattr(net, "runs", 0) + 1
    if net.runs > 1:  # not in the first run
        raise TypeError("no tensor")
    return x


def test_a_forward_that_fails_says_where_and_why() -> None:
    with pytest.raises(ValueError) as caught:
        stages(lambda net, x: {}["x"])
    text = str(caught.value)
    assert text.startswith("Net: does not run on an example of shape [2, 1, 2, 2, 2]: test_walk.py, line ")
    assert text.endswith("stages(lambda net, x: {}[\"x\"])): KeyError: 'x'")


@pytest.mark.parametrize(
    ("model", "example", "text"),
    [
        (lambda x: x, torch.zeros(1, 1, 2, 2, 2), "the model must be a torch.nn.Module, got a function"),
        (nn.Conv3d(1, 1, 1), torch.zeros(1, 1, 0, 2, 2), "the example must have axes .* got \\[1, 1, 0, 2, 2\\]"),
        (nn.Conv3d(1, 1, 1), (1, 1, 2, 2, 2), "the example must have axes .* got tuple"),
        (nn.Module(), torch.zeros(1, 1, 2, 2, 2), 'missing the required "forward" function'),
        (nn.ModuleList(), torch.zeros(1, 1, 2, 2, 2), 'missing the required "forward" function'),
    ],
)
def test_what_is_no_model_or_example_is_refused_in_one_line(model, example, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        prepare(model, example)
    (row,) = check(model, example)
    assert not row.supported and "\n" not in row.instead


@pytest.mark.parametrize("ends", [0, 1, 2])  # in the first run, in the trace, in the comparison
def test_a_forward_that_ends_the_program_is_refused_in_one_line(ends: int) -> None:
    runs = []

    def ended(net: nn.Module, x: Tensor) -> Tensor:
        runs.append(x)
        if len(runs) > ends:
            raise SystemExit(0)
        return x

    rows = check(Net(ended), torch.zeros(1, 1, 2, 2, 2), IMAGE)
    assert not rows[-1].supported and rows[-1].instead.endswith("SystemExit: 0" if ends < 2 else "with its layers: 0")
    assert len(runs) == ends + 1


def test_a_network_of_one_logit_is_refused_where_it_ends() -> None:
    for net in (nn.Sequential(nn.Conv3d(1, 1, 2), nn.Flatten()), nn.Sequential(nn.Flatten(), nn.Linear(8, 1))):
        (refused,) = [row for row in check(net, torch.zeros(2, 1, 2, 2, 2), IMAGE) if not row.supported]
        assert refused.instead.startswith("ends the network in one logit") and refused.layer in ("0", "1")
    assert all(
        row.supported for row in check(nn.Sequential(nn.Flatten(), nn.Linear(8, 2)), torch.zeros(2, 1, 2, 2, 2), IMAGE)
    )


def test_what_is_no_input_format_or_configuration_is_refused_in_one_line() -> None:
    net, example = nn.Conv3d(1, 3, 2), torch.zeros(1, 1, 2, 2, 2)
    for call in (check, lambda net, example, fmt: prepare(net, example, None, fmt)):
        with pytest.raises(
            ValueError, match=r"^the input format must be a qtt_hw.fixedpoint.Format, .* got a NoneType$"
        ):
            call(net, example, None)
    with pytest.raises(ValueError, match="^the configuration must be a qtt_hw.QuantConfig, got a dict$"):
        prepare(net, example, {"weight_bits": 4}, IMAGE)  # type: ignore[arg-type]


class Ending(nn.Module):
    """A head, and what the test does with its logits."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head, self.end = nn.Linear(8, 3), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.head(x.flatten(1)))


@pytest.mark.parametrize(
    "end",
    [
        nn.Softmax(1),
        nn.LogSoftmax(dim=-1),
        lambda x: F.softmax(x, 1),
        lambda x: torch.log_softmax(x, dim=-1),
        lambda x: x.softmax(1),
    ],
)
def test_a_softmax_at_the_end_is_left_out_and_said(end: Callable[[Tensor], Tensor]) -> None:
    with pytest.warns(SoftmaxWarning, match="is left out: logits come out, and their argmax"):
        prepared = prepare(Ending(end), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)
    assert [stage.name for stage in prepared.stages] == ["head"]


class Video(nn.Module):
    """A head as video networks have it: logits of one position, softmax over them, pooled, permuted and viewed."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.pool, self.soft = nn.Conv3d(1, 3, 1), nn.AdaptiveAvgPool3d(1), nn.Softmax(dim=4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.adaptive_avg_pool3d(self.body(x).relu(), 1).permute(0, 2, 3, 4, 1)
        return self.pool(self.soft(y).permute(0, 4, 1, 2, 3)).view(x.shape[0], -1)


def test_a_softmax_before_views_is_left_out_too() -> None:
    with pytest.warns(SoftmaxWarning, match="soft"):
        prepared = prepare(Video(), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)
    assert [stage.name for stage in prepared.stages] == ["body", "adaptive_avg_pool3d"]


def dropped_path(x: Tensor, p: float, training: bool) -> Tensor:
    """What is wrapped for torch.fx, so that a trace shows one call: it does nothing in evaluation."""
    return x * (torch.rand(len(x), 1, 1, 1, 1) > p) if training else x


torch.fx.wrap("dropped_path")


def test_a_function_that_returns_what_it_reads_leaves_no_stage() -> None:
    assert stages(lambda net, x: net.second(dropped_path(x, 0.5, net.training))) == ["conv", "second", "head"]


def test_what_nothing_reads_is_not_computed() -> None:
    def middle(net: nn.Module, x: Tensor) -> Tensor:
        net.second(x.chunk(2, 1)[1].cumsum(1).repeat(1, 2, 1, 1, 1))
        return x.relu()

    assert stages(middle) == ["conv", "head"]


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (nn.Softmax(0), "acts on the samples of a batch together"),
        (lambda x: F.softmax(x, 1) + x, "is not supported within a network"),
        (lambda x: F.softmax(x, 1) * 1, "is not supported within a network"),
        (lambda x: x.argmax(1), "leave it out: the hardware puts out logits and their argmax"),
    ],
)
def test_another_softmax_is_not(end: Callable[[Tensor], Tensor], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        prepare(Ending(end), torch.zeros(2, 1, 2, 2, 2), input_format=IMAGE)


def test_a_model_for_several_devices_is_the_model_within() -> None:
    net = nn.DataParallel(Net(lambda net, x: x))
    rows = check(net, torch.zeros(2, 1, 2, 2, 2), IMAGE)
    assert [row.layer for row in rows] == ["conv", "flatten", "head"] and all(row.supported for row in rows)
    ((inner,),) = [[r for r in check(nn.Sequential(net), torch.zeros(2, 1, 2, 2, 2), IMAGE) if not r.supported]]
    assert inner.layer == "0" and "its .module computes the same" in inner.instead
