"""Forward hooks that change what is computed are refused by name; those that observe, and backward ones, are not."""

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.lower.prepare import prepare

IMAGE = Format(8, True, 7)
EXAMPLE = torch.zeros(1, 2, 2, 2, 2)


@pytest.fixture
def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2), nn.Sequential(nn.ReLU(), nn.Flatten()), nn.Linear(16, 3)
    )


def refused(model: nn.Module) -> list[tuple[str, str]]:
    return [(row.layer, row.instead) for row in check(model, EXAMPLE, IMAGE) if not row.supported]


def halve(module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
    return output / 2


def halve_in_place(module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
    output.div_(2)


def clamp_in_place(module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
    output.clamp_(-1e9, 1e9)  # of other values it would change some


def put_in(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
    return (args[0] + 1,)


def double_weights(module: nn.Linear, args: tuple[Tensor]) -> None:
    module.weight.data.mul_(2)


def skip(module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
    return args[0]


@pytest.mark.parametrize("hook", [halve, halve_in_place, clamp_in_place, skip])
@pytest.mark.parametrize("place", ["0", "2.0", ""])
def test_hooks_that_change_the_output_are_refused(net: nn.Sequential, hook: Callable, place: str) -> None:
    net.get_submodule(place).register_forward_hook(hook)
    expected = (
        f"has a forward hook, {hook.__name__}, that changes what is computed; write that as a layer or in forward, "
        "and remove the hook"
    )
    assert refused(net) == [(place, expected)]
    with pytest.raises(ValueError, match=rf"^(the model|{place} \(.*\)) has a forward hook, .* that changes"):
        prepare(net, EXAMPLE, input_format=IMAGE)


def test_hooks_with_all_their_options_are_seen(net: nn.Sequential) -> None:
    net[0].register_forward_pre_hook(put_in)
    net[1].register_forward_pre_hook(lambda m, args, kwargs: ((args[0] * 2,), kwargs), with_kwargs=True)
    net[2].register_forward_hook(lambda m, args, kwargs, output: output * 2, with_kwargs=True, always_call=True)
    net[3].register_forward_pre_hook(double_weights)
    found = refused(net)
    assert [name for name, _ in found] == ["0", "1", "2", "3"]
    assert found[0][1].startswith("has a forward pre-hook, put_in, that changes")


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("several", [True, False])
def test_hooks_that_change_only_some_batches_are_refused(net: nn.Sequential, samples: int, several: bool) -> None:
    net[1].register_forward_hook(lambda m, args, output: output * 0 if (len(output) > 1) == several else None)
    rows = [row for row in check(net, EXAMPLE.repeat(samples, 1, 1, 1, 1), IMAGE) if not row.supported]
    assert [row.layer for row in rows] == ["1"] and "that changes what is computed" in rows[0].instead


class Observer:
    """Keeps what it sees, and cannot be copied."""

    def __init__(self) -> None:
        self.lock, self.seen = threading.Lock(), []

    def __call__(self, module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        self.seen.append((float(output.mean()), output.shape))
        module.calls = len(self.seen)
        return output


def test_hooks_that_observe_are_left_out_and_kept(net: nn.Sequential) -> None:
    observer = Observer()
    for module in net.modules():
        module.register_forward_hook(observer)
    net[0].register_forward_pre_hook(lambda module, args: args)
    net[2].register_forward_pre_hook(lambda module, args, kwargs: (args, kwargs), with_kwargs=True)
    net[1].register_full_backward_hook(lambda module, given, put_out: None)
    net[3].register_full_backward_pre_hook(lambda module, given: None)
    assert refused(net) == [] and len(observer.seen) == 7 * 6, "on one sample, two, the example and extremes"
    assert [type(stage).__name__ for stage in prepare(net, EXAMPLE, input_format=IMAGE).stages] == [
        "ContractionStage"
    ] * 2
    assert len(net[0]._forward_hooks) == len(net[0]._forward_pre_hooks) == 1
    assert next(iter(net[0]._forward_hooks.values())) is observer


@pytest.fixture
def everywhere() -> Iterator[list]:
    handles: list = []
    yield handles
    for handle in handles:
        handle.remove()


def test_hooks_of_every_module_are_seen_and_kept(net: nn.Sequential, everywhere: list) -> None:
    everywhere.append(torch_modules.register_module_forward_hook(lambda module, args, output: None))
    everywhere.append(torch_modules.register_module_full_backward_hook(lambda module, given, put_out: None))
    assert refused(net) == []
    everywhere.append(torch_modules.register_module_forward_hook(halve))
    everywhere.append(torch_modules.register_module_forward_pre_hook(put_in))
    found = refused(net)
    assert [name for name, _ in found] == ["", ""]
    assert found[0][1].startswith("has a global forward pre-hook, put_in, that")
    assert found[1][1].startswith("has a global forward hook, halve, that")
    assert list(torch_modules._global_forward_hooks.values())[1] is halve
    assert list(torch_modules._global_forward_pre_hooks.values()) == [put_in]


def test_hooks_that_write_into_any_module_are_refused(net: nn.Sequential) -> None:
    def recentre(module: nn.BatchNorm3d, args: tuple[Tensor]) -> None:
        module.running_mean.copy_(args[0].mean((0, 2, 3, 4)))

    def shift_child(module: nn.Sequential, args: tuple[Tensor]) -> None:
        module[0].bias.data.copy_(args[0].mean().expand(2))

    def train_child(module: nn.Sequential, args: tuple[Tensor]) -> None:
        module[1].train()

    def replace_child(module: nn.Sequential, args: tuple[Tensor]) -> None:
        module[2][0] = nn.Identity()

    net[1].register_forward_pre_hook(recentre)
    for hook in (shift_child, train_child, replace_child):
        net.register_forward_pre_hook(hook)
    called = [reason.split(", ")[1].rpartition(".")[2] for _, reason in refused(net)]
    assert [name for name, _ in refused(net)] == ["", "", "", "1"]
    assert called == ["shift_child", "train_child", "replace_child", "recentre"]


@pytest.mark.parametrize("value", [-1.0, 127 / 128, 0.0, 40.0])
def test_hooks_that_act_on_extremes_or_the_example_alone_are_refused(net: nn.Sequential, value: float) -> None:
    net[0].register_forward_pre_hook(lambda m, args: (args[0] * 2 + 1,) if (args[0] == value).all() else None)
    rows = check(net, torch.full_like(EXAMPLE, 40.0), IMAGE)
    assert [row.layer for row in rows if not row.supported] == ["0"]
    with pytest.raises(ValueError, match=r"^0 \(Conv3d\) has a forward pre-hook"):
        prepare(net, torch.full_like(EXAMPLE, 40.0), input_format=IMAGE)


def test_hooks_that_end_the_run_on_some_values_observe(net: nn.Sequential) -> None:
    def guard(module: nn.Module, args: tuple[Tensor]) -> None:
        assert args[0].any(), "nothing but zeros"

    net[0].register_forward_pre_hook(guard)
    assert refused(net) == []
