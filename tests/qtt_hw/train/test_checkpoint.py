from pathlib import Path

import pytest
import torch
from torch import nn

from qtt_hw.train.checkpoint import (
    load_tensors,
    optimizer_state,
    restore_optimizer,
    save_tensors,
    write_atomically,
)


def test_round_trip_keeps_bits_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    last = torch.randn(2, 3, 4, 5, 6).to(memory_format=torch.channels_last_3d)
    save_tensors(path, {"a": last, "b": last, "n": torch.tensor(3)}, {"step": 3, "best": None})
    tensors, metadata = load_tensors(path)
    assert torch.equal(tensors["a"], last) and torch.equal(tensors["b"], last) and tensors["n"].item() == 3
    assert metadata == {"step": 3, "best": None}
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match=r"a.safetensors: no such file"):
        load_tensors(path)
    save_tensors(path, {"a": torch.zeros(100)}, {})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"a.safetensors: not a checkpoint"):
        load_tensors(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "new")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_optimizer_goes_on_bitwise(kind: str) -> None:
    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4)).to(memory_format=torch.channels_last_3d)
        if kind == "adamw":
            return model, torch.optim.AdamW(model.parameters(), lr=1e-2)
        return model, torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
        for step in range(first, last):
            torch.manual_seed(step)
            optimizer.zero_grad()
            model(torch.randn(4, 2, 5, 5, 5)).square().mean().backward()
            optimizer.step()

    whole, optimizer = made()
    steps(whole, optimizer, 0, 6)
    half, optimizer = made()
    steps(half, optimizer, 0, 3)
    weights = {name: value.clone() for name, value in half.state_dict().items()}
    saved = {name: value.clone().contiguous() for name, value in optimizer_state(optimizer, half).items()}
    again, optimizer = made()
    again.load_state_dict(weights)
    restore_optimizer(optimizer, again, saved)
    steps(again, optimizer, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
