"""Weights from outside: what is read, what is refused in which words, and what the network then computes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qtt_hw.graph.preprocess import input_spec
from qtt_hw.training.config import Config
from qtt_hw.training.network import build_model
from qtt_hw.training.sections import ModelConfig
from qtt_hw.training.weights import load_weights, read_weights


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


def trained() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    net = network()
    net[1].running_mean.fill_(0.5)
    return net.state_dict()


FORMS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "plain": lambda state: state,
    "lightning": lambda state: {"state_dict": state, "epoch": 3, "optimizer_states": [{"lr": 0.1}]},
    "model": lambda state: {"model": state, "optimizer": {}},
    "data parallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "compiled": lambda state: {"model_state_dict": {f"_orig_mod.{name}": value for name, value in state.items()}},
    "half": lambda state: {name: value.half() if value.is_floating_point() else value for name, value in state.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_state_dict(form: str, tmp_path: Path) -> None:
    state, net = trained(), network()
    torch.save(FORMS[form](state), tmp_path / "w.pt")
    load_weights(net, tmp_path / "w.pt")
    for name, value in net.state_dict().items():
        assert value.dtype == state[name].dtype
        wanted = state[name].half() if form == "half" and value.is_floating_point() else state[name]
        assert torch.equal(value, wanted.to(value.dtype))


class Held(nn.Module):
    """A network whose one child has the name that a wrapper would give it."""

    def __init__(self) -> None:
        super().__init__()
        self.module = network()


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("make", [network, Held])
def test_prefixes_of_wrappers_and_of_the_network_itself(
    make: Callable[[], nn.Module], wrapped: bool, tmp_path: Path
) -> None:
    """Whether the one that was saved was within nn.DataParallel."""
    torch.manual_seed(3)
    saved = make()
    torch.save((nn.DataParallel(saved) if wrapped else saved).state_dict(), tmp_path / "w.pt")
    net = make()
    load_weights(net, tmp_path / "w.pt")
    assert all(torch.equal(value, saved.state_dict()[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_network_within_data_parallel_begins_with_its_weights(wrapped: bool, tmp_path: Path) -> None:
    body = "nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(16, 3))"
    (tmp_path / "net.py").write_text(f"from torch import nn\ndef Net():\n    return nn.DataParallel({body})\n")
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(16, 3))
    torch.save((nn.DataParallel(net) if wrapped else net).state_dict(), tmp_path / "w.pt")
    config = Config(model=ModelConfig(name="net.py:Net", weights="w.pt"), source=tmp_path / "c.toml")
    made = build_model(config, input_spec((4, 4, 4, 1)), 3, 0, trained=True)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in made.state_dict().items())


def test_safetensors_and_what_counts_batches_may_be_missing(tmp_path: Path) -> None:
    state, net = trained(), network()
    del state["1.num_batches_tracked"]
    save_file(state, tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors").keys() == state.keys()
    load_weights(net, tmp_path / "w.safetensors")
    assert torch.equal(net[0].weight, state["0.weight"]) and float(net[1].running_mean[0]) == 0.5


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("harm"),))


def without(name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in trained().items() if key != name}


BAD: dict[str, tuple[Any, str]] = {
    "missing": (lambda: without("0.weight"), "has no 0.weight, which the network has; it has 8 tensors"),
    "another name": (
        lambda: without("4.weight") | {"fc.weight": torch.ones(3, 16)},
        "has no 4.weight, which the network has; it has fc.weight, which the network has not",
    ),
    "too many": (lambda: trained() | {"5.w": torch.ones(2), "6.w": torch.ones(2)}, "has 5.w and 1 more, which the"),
    "shape": (
        lambda: trained() | {"4.weight": torch.ones(10, 16)},
        "4.weight: has shape [10, 16], the network's has [3, 16]",
    ),
    "not finite": (
        lambda: trained() | {"0.bias": torch.tensor([0.0, torch.nan])},
        "0.bias: holds a value that is not finite, first in channel 1",
    ),
    "not finite in float32": (
        lambda: trained() | {"0.bias": torch.tensor([0.0, 1e200]).double()},
        "0.bias: holds a value",
    ),
    "a variance": (
        lambda: trained() | {"1.running_var": torch.tensor([1.0, -1.0])},
        "1.running_var: holds a variance below 0, first in channel 1",
    ),
    "sparse": (lambda: trained() | {"4.weight": torch.ones(3, 16).to_sparse()}, "4.weight: is a sparse tensor; save"),
    "complex": (lambda: trained() | {"4.weight": torch.ones(3, 16) * 1j}, "4.weight: is a complex tensor; save"),
    "a list": (lambda: [torch.ones(2)], "holds a list, not tensors by name"),
    "others": (lambda: {"accuracy": 0.5}, "holds a float called 'accuracy', not tensors by name"),
    "nothing": (dict, "holds nothing, not tensors by name"),
    "code": (Harmful, "holds more than tensors, or is no file of torch.save; save the weights alone"),
    "a module": (network, "holds more than tensors, or is no file of torch.save; save the weights alone"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, said = BAD[case]
    path = tmp_path / "w.pt"
    torch.save(make(), path)
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: {said}")) as raised:
        load_weights(network(), path)
    assert "\n" not in str(raised.value) and not (tmp_path / "harm").exists()


def test_no_file_and_no_such_kind_of_file(tmp_path: Path) -> None:
    for name in ("w.pt", "w.safetensors"):
        with pytest.raises(ValueError, match=f"{name}: No such file"):
            read_weights(tmp_path / name)
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(ValueError, match=f"{name}: (not a safetensors file|holds more than tensors)"):
            read_weights(tmp_path / name)
    for content in (b"", b"hello"):  # of which torch says nothing that helps
        (tmp_path / "w.pt").write_bytes(content)
        with pytest.raises(
            ValueError, match=r"w.pt: not a file of torch.save; save the weights alone: torch.save\(net"
        ):
            read_weights(tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:  # as torch.jit.save lays it out
        for name in ("net/data.pkl", "net/constants.pkl", "net/code/net.py"):
            archive.writestr(name, b"")
    with pytest.raises(ValueError, match="is a TorchScript archive; save the weights alone"):
        read_weights(tmp_path / "w.pt")


def test_a_configuration_s_network_begins_with_them_and_layers_are_decomposed_from_them(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef Net():\n"
        "    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Conv3d(4, 4, 3), nn.Flatten(), nn.Linear(256, 3))\n"
    )
    torch.manual_seed(5)
    net = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Conv3d(4, 4, 3), nn.Flatten(), nn.Linear(256, 3))
    torch.save(net.state_dict(), tmp_path / "w.pt")
    spec, x = input_spec((8, 8, 8, 1)), (torch.rand(2, 1, 8, 8, 8) < 0.4).float()
    full = {"2": (4, 4, 4, 4)}
    for ranks in ({}, full):
        model = ModelConfig(name="net.py:Net", weights="w.pt", ranks=ranks)
        config = Config(model=model, source=tmp_path / "c.toml")
        made = build_model(config, spec, 3, 0, trained=True)
        assert torch.allclose(made(x), net(x), atol=1e-5) == (not ranks)
        assert torch.equal(made[0].weight, net[0].weight)
        assert not torch.equal(build_model(config, spec, 3, 0)[0].weight, net[0].weight)
