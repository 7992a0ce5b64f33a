"""What a trace does not show is refused by the layer's name, with what to do; and only that."""

import copy
import re
import types
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.ao.nn import qat
from torch.ao.quantization import get_default_qat_qconfig
from torch.nn.utils import parametrizations, parametrize, prune, remove_weight_norm, spectral_norm, weight_norm

from qtt_hw.errors import PrecisionWarning
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import QTTConv3d, TTConv3d

IMAGE = Format(8, True, 7)
EXAMPLE = torch.zeros(1, 2, 2, 2, 2)
NOT_FINITE = "holds a value that is not finite"


def network(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(2, 2, 1), *middle, nn.BatchNorm3d(2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


def refused(model: nn.Module, example: Tensor = EXAMPLE) -> list[tuple[str, str]]:
    return [(row.layer, row.instead) for row in check(model, example, IMAGE) if not row.supported]


def normed(layer: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch deprecates this form, which is why networks still have it
        weight_norm(layer)


@pytest.mark.parametrize(
    ("change", "remove"),
    [
        (normed, 'torch.nn.utils.remove_weight_norm(layer, "weight")'),
        (spectral_norm, 'torch.nn.utils.remove_spectral_norm(layer, "weight")'),
        (lambda layer: prune.l1_unstructured(layer, "weight", amount=0.3), 'prune.remove(layer, "weight")'),
        (
            lambda layer: [prune.random_unstructured(layer, "bias", amount=n) for n in (1, 1)],
            'prune.remove(layer, "bias")',
        ),
        (
            parametrizations.weight_norm,
            'torch.nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)',
        ),
        (
            parametrizations.spectral_norm,
            'torch.nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)',
        ),
    ],
)
@pytest.mark.parametrize("layer", [nn.Conv2d, nn.Conv3d])
def test_reparametrised_layers_are_refused_with_the_call_that_bakes_it_in(
    layer: type[nn.Module], change: Callable[[nn.Module], object], remove: str
) -> None:
    net = nn.Sequential(layer(2, 2, 1), nn.Flatten(), nn.Linear(16 if layer is nn.Conv3d else 8, 3))
    change(net[0])
    example = EXAMPLE if layer is nn.Conv3d else torch.zeros(1, 2, 2, 2)
    ((name, reason),) = refused(net, example)
    assert name == "0" and reason.endswith(remove) and "trained without it" in reason
    with pytest.raises(ValueError, match=r"^0 \(\w+\) has a "):
        prepare(net, example, input_format=IMAGE)


def test_baked_in_they_are_layers_like_others() -> None:
    net = network(nn.Conv3d(2, 2, 1))
    normed(net[0])
    remove_weight_norm(net[0])
    prune.l1_unstructured(net[1], "weight", amount=1)
    prune.remove(net[1], "weight")
    parametrizations.weight_norm(net[5])
    parametrize.remove_parametrizations(net[5], "weight", leave_parametrized=True)
    assert refused(net) == []


def test_layers_without_weights_or_values_are_refused() -> None:
    lazy = nn.Sequential(nn.LazyConv3d(2, 1), nn.Flatten(), nn.LazyLinear(3))
    text = "has no weights before its first input; run the model on one"
    assert refused(lazy) == [("0", text), ("2", text)]
    lazy(EXAMPLE)
    assert refused(lazy) == []
    text = "is on the meta device, without values; load them first"
    assert refused(network().to("meta")) == [("0", text), ("1", text), ("4", text)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("example", [EXAMPLE, EXAMPLE.double()])
def test_other_floating_dtypes_are_taken_as_float32_and_said(dtype: torch.dtype, example: Tensor) -> None:
    net = network()
    net.to(dtype)
    *rows, said = check(net, example, IMAGE)
    text = f"has parameters of {dtype}, which are taken as torch.float32"
    assert all(row.supported and not row.instead for row in rows) and len(rows) == len(net)
    assert (said.layer, said.type, said.supported, said.instead) == ("", "model", True, text)
    with pytest.warns(PrecisionWarning, match=f"^the model {text}$"):
        prepared = prepare(net, example, input_format=IMAGE)
    assert {p.dtype for p in net.parameters()} == {dtype}
    expected = prepare(net.float(), example, input_format=IMAGE).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in prepared.state_dict().items())
    assert check(net, example, IMAGE) == rows


def test_dtypes_that_are_no_weights_are_refused_by_layer() -> None:
    net = network()
    net[0].weight = nn.Parameter(torch.zeros(2, 2, 1, 1, 1, dtype=torch.int8), requires_grad=False)
    assert refused(net) == [("0", "has parameters of torch.int8, which are not followed; those of float32 are")]


def test_a_forward_that_insists_on_its_own_dtype_does_not_run_in_another() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.flatten(1).half())

    ((_, reason),) = refused(Halves().half())
    assert "test_obstacles.py, line " in reason and "same dtype" in reason


def test_what_is_replaced_on_an_object_is_refused() -> None:
    def doubled(layer: nn.Module, x: Tensor) -> Tensor:
        return type(layer).forward(layer, x) * 2

    reason = "has its forward replaced on the object, which is not followed; write it in a class of its own"
    for place in (0, 1, 2, 4):
        net = network()
        net[place].forward = types.MethodType(doubled, net[place])
        assert refused(net) == [(str(place), reason)]
    net = network()
    net.forward = types.MethodType(doubled, net)
    assert refused(net) == [("", reason)]
    net = network()
    net[0]._conv_forward = lambda x, weight, bias: F.conv3d(x, 2 * weight, bias)
    assert refused(net) == [("0", reason.replace("forward", "_conv_forward", 1))]
    # A module that is entered is traced through what replaces its forward.
    inner = network()
    inner.forward = types.MethodType(lambda net, x: nn.Sequential.forward(net, x.contiguous()), inner)
    assert refused(nn.Sequential(inner)) == []


class Calls(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)

    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x).cumsum(1)


def test_a_call_of_its_own_is_refused_at_the_root_and_traced_inside() -> None:
    assert refused(Calls()) == [("", "has a __call__ of its own, which is not followed; write it as forward")]
    ((name, reason),) = refused(nn.Sequential(Calls(), nn.Identity()))
    assert name.endswith("cumsum") and reason.startswith("is not followed")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit, which torch.compile imports
def test_compiled_and_scripted_modules_are_refused_once() -> None:
    net = network()
    assert refused(torch.compile(net)) == [
        ("", "is compiled; give the module that it was made of, its ._orig_mod"),
    ]
    net.compile()
    assert refused(net) == []
    assert refused(torch.jit.script(network())) == [
        ("", "is TorchScript, which cannot be traced; give the Python module that it was made of")
    ]
    assert refused(torch.fx.symbolic_trace(network())) == []
    assert refused(nn.DataParallel(network())) == []


class Scaled(nn.Conv3d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).cumsum(1)


class Standardised(nn.Conv3d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, weight - weight.mean(), bias)


class Called(nn.Conv3d):
    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x).relu()


class Train(TTConv3d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class Pointwise(nn.Conv3d):
    """A layer that is only constructed otherwise."""

    stages: int = 1

    def __init__(self, channels: int, out: int, *_: int) -> None:
        super().__init__(channels, out, 1)

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def size(self) -> int:
        return self.weight.numel()


class Own(nn.Conv3d):
    """A layer whose forward is written out, with an activation of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv3d(x, self.weight, self.bias, self.stride, self.padding).relu()


def test_a_class_of_this_project_s_that_changes_what_it_computes_is_refused_by_name() -> None:
    reason = "is not supported; its class changes what TTConv3d computes; only TTConv3d itself is followed"
    assert refused(network(Train(2, 2, 1, 2)))[0] == ("1", reason)


@pytest.mark.parametrize(
    ("layer", "name", "reason"),
    [
        (Scaled(2, 2, 1), "1.cumsum", "is not followed"),
        (Standardised(2, 2, 1), "1.mean", "is computed of the parameter 1.weight"),
    ],
)
def test_a_class_with_a_forward_of_its_own_is_judged_by_what_it_calls(layer: nn.Module, name: str, reason: str) -> None:
    found, why = refused(network(layer))[0]
    assert found == name and reason in why


def test_a_class_whose_forward_calls_what_is_followed_is_followed() -> None:
    net = nn.Sequential(Own(2, 3, 1), nn.Flatten(), nn.Linear(24, 3))
    assert refused(net) == []
    prepared = prepare(net, EXAMPLE, input_format=IMAGE)
    assert [stage.name for stage in prepared.stages] == ["0.conv3d", "2"] and prepared.contractions[0].relu


def test_a_class_that_only_constructs_a_layer_otherwise_is_that_layer() -> None:
    net = network(Pointwise(2, 2, 1))
    assert refused(net) == []
    assert [stage.name for stage in prepare(net, EXAMPLE, input_format=IMAGE).stages] == ["0", "1", "5"]


def test_pytorch_s_own_derived_classes_are_not_taken_for_their_bases() -> None:
    conv = qat.Conv2d(2, 2, 1, qconfig=get_default_qat_qconfig("fbgemm"))
    ((name, reason),) = refused(nn.Sequential(conv, nn.Flatten(), nn.Linear(8, 3)), torch.zeros(1, 2, 2, 2))
    assert name == "0" and "changes what Conv2d computes" in reason


def shared(how: str) -> nn.Module:
    net = network(nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2))
    first, second = net[1], net[2]
    match how:
        case "parameter":
            second.weight = first.weight
        case "storage":
            second.weight = nn.Parameter(first.weight.data)
        case "view":
            second.weight = nn.Parameter(first.weight.data.transpose(0, 1))
        case "bias":
            second.bias = first.bias
        case "statistics":
            net[3].running_mean = net[4].running_mean
        case "layer":
            net[2] = first
    return net


@pytest.mark.parametrize(
    ("how", "layer", "start"),
    [
        ("parameter", "2", "shares its weight with the weight of 1, "),
        ("storage", "2", "shares its weight with the weight of 1, "),
        ("view", "2", "shares its weight with the weight of 1, "),
        ("bias", "2", "shares its bias with the bias of 1, "),
        ("statistics", "4", "shares its running_mean with the running_mean of 3, "),
        ("layer", "1", "is called twice, and shared weights are not supported; copies of it would train apart"),
    ],
)
def test_shared_weights_are_refused_by_name(how: str, layer: str, start: str) -> None:
    found = dict(refused(shared(how)))
    assert found[layer].startswith(start) and "train apart" in found[layer]


class Backwards(nn.Module):
    """Calls its layers in another order than it defines them in."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.mid = nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 1)
        self.norm, self.train_out, self.train_in = nn.BatchNorm3d(2), *(QTTConv3d(2, 2, (2,), (2,), 1, 1) for _ in "ab")
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.mid(x)))
        return self.fc(torch.flatten(self.train_out(self.train_in(F.relu(self.out(x)))), 1))


def test_shared_weights_are_refused_in_whatever_order_they_are_called() -> None:
    net = Backwards()
    assert refused(net) == []
    net.out.weight = net.mid.weight
    net.train_in.cores[0] = net.train_out.cores[0]
    text = ", which is not supported; a copy of it would train apart"
    assert refused(net) == [
        ("out", f"shares its weight with the weight of mid{text}"),
        ("train_out", f"shares its cores.0 with the cores.0 of train_in{text}"),
    ]
    net = Backwards()
    net.norm.weight = net.mid.bias
    assert refused(net) == [("norm", f"shares its weight with the bias of mid{text}")]


def test_cores_of_one_layer_that_are_one_tensor_are_refused() -> None:
    layer = TTConv3d(2, 2, 1, 2)
    layer.core_h = layer.core_w
    ((name, reason),) = refused(network(layer))
    assert name == "1" and reason.startswith("shares its core_w with the core_h of 1, ")


def test_what_only_looks_shared_is_not_refused() -> None:
    class Aliases(nn.Module):
        """Layers under two names, weights that lie side by side, and a tied copy that forward does not call."""

        def __init__(self) -> None:
            super().__init__()
            self.net = network()
            self.same, self.first = self.net, self.net[0]
            self.average = copy.deepcopy(self.net)
            self.average[0].weight = self.net[0].weight
            flat = torch.cat([p.data.flatten() for p in self.net.parameters()])
            start = 0
            for parameter in self.net.parameters():
                parameter.data = flat[start : start + parameter.numel()].view(parameter.shape)
                start += parameter.numel()

        def forward(self, x: Tensor) -> Tensor:
            return self.same(x)

    assert refused(Aliases()) == []


def test_a_weight_that_something_else_computes_is_refused() -> None:
    net = network()
    del net[0].weight
    net[0].weight = torch.ones(2, 2, 1, 1, 1)
    assert refused(net) == [("0", "has a weight that is no nn.Parameter; what computes it would not be trained")]


def test_the_kernel_is_that_of_the_weight() -> None:
    net = nn.Sequential(nn.Conv3d(2, 2, 1), nn.Flatten(), nn.Linear(2, 3))
    net[0].weight = nn.Parameter(torch.randn(2, 2, 2, 2, 2))
    model = prepare(net, EXAMPLE, input_format=IMAGE)
    assert model.stage_list[0].window.kernel == (2, 2, 2)


def test_results_that_a_module_remembers_are_no_obstacle() -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, x: Tensor) -> Tensor:
            self.last = self.net(x)
            return self.last

    net = Remembers()
    net(EXAMPLE)
    assert net.last.grad_fn is not None and refused(net) == []


def test_a_module_that_holds_what_it_is_part_of_is_refused() -> None:
    net = network(nn.Sequential(nn.Conv3d(2, 2, 1)))
    net[1].parent = net
    reason = "holds {} as its {}, which it is part of; keep that elsewhere than in a module"
    assert refused(net) == [("1", reason.format("the whole model", "parent"))]
    del net[1].parent
    net[1][0].around = net[1]
    assert refused(net) == [("1.0", reason.format("1 (Sequential)", "around"))]
    del net[1][0].around
    assert refused(net) == []


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_on_gradients_of_parameters_are_refused(register: str) -> None:
    net = network()
    handle = getattr(net[4].weight, register)(lambda gradient: None)
    ((name, reason),) = refused(net)
    assert name == "4" and reason.startswith("has a hook on the gradient of its weight, which would be trained without")
    handle.remove()
    assert refused(net) == []


def test_an_averaged_model_is_refused_with_what_computes_the_same() -> None:
    averaged = torch.optim.swa_utils.AveragedModel(network())
    assert refused(averaged) == [("", "is not followed; its .module computes the same")]
    assert refused(averaged.module) == []


@pytest.mark.parametrize(("odd", "shown"), [("a'b", "a'b"), ('a"b', 'a"b'), ("a\nb", "a\\nb"), ("a\0b", "a\\x00b")])
def test_names_that_cannot_be_part_of_code_are_refused(odd: str, shown: str) -> None:
    net = nn.Sequential()
    net.add_module(odd, nn.Conv3d(2, 3, 2))
    ((name, reason),) = refused(net)
    assert name == shown and reason.startswith("has ") and "\n" not in name + reason
    assert reason.endswith("in its name; names may have any printable characters but quotes and backslashes")


@pytest.mark.parametrize(
    ("tensor", "value", "layer", "said"),
    [
        ("2.running_mean", torch.nan, "2", f"has a running_mean that {NOT_FINITE}, first in channel 1"),
        ("2.running_mean", torch.inf, "2", f"has a running_mean that {NOT_FINITE}, first in channel 1"),
        ("2.running_var", torch.inf, "2", f"has a running_var that {NOT_FINITE}, first in channel 1"),
        ("2.running_var", -1.0, "2", "has a running_var that holds a variance below 0, first in channel 1"),
        ("2.weight", torch.nan, "2", f"has a weight that {NOT_FINITE}, first in channel 1"),
        ("0.weight", -torch.inf, "0", f"has a weight that {NOT_FINITE}, first in channel 1"),
        ("0.bias", torch.nan, "0", f"has a bias that {NOT_FINITE}, first in channel 1"),
        ("5.weight", torch.nan, "5", f"has a weight that {NOT_FINITE}, first in channel 1"),
        ("1.core_h", torch.nan, "1", f"has a core_h that {NOT_FINITE}, first at [1, 0, 0, 0, 0]"),
    ],
)
def test_values_that_no_layer_can_compute_with_are_refused(tensor: str, value: float, layer: str, said: str) -> None:
    net = network(TTConv3d(2, 2, 1, 2))
    assert not refused(net)
    net.state_dict()[tensor][1] = value
    said = f"{said}; give it one from before training diverged"
    assert refused(net) == [(layer, said)]
    with pytest.raises(ValueError, match=rf"^{layer} \(\w+\) {re.escape(said)}$"):
        prepare(net, EXAMPLE, input_format=IMAGE)
