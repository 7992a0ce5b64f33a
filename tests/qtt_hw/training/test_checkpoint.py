from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qtt_hw.training.checkpoint import load_tensors, optimizer_state, parse_tensors, restore_optimizer, save_tensors


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


def test_every_bit_is_covered_by_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {
        "a": torch.randn(2, 3),
        "half": torch.randn(3).bfloat16(),
        "none": torch.zeros(0, 2),
        "on": torch.tensor(True),
    }
    save_tensors(path, tensors, {"step": 3})
    whole = path.read_bytes()
    data = 8 + int.from_bytes(whole[:8], "little")
    for place in [*range(data, len(whole)), whole.index(b"step"), whole.index(b": 3") + 2, whole.index(b'"half"') + 1]:
        flipped = bytearray(whole)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=f"^{path}: its content does not match its digest; the file was changed"):
            load_tensors(path)
        with pytest.raises(ValueError, match="^it: its content does not match its digest"):
            parse_tensors(bytes(flipped), "it")


def test_a_file_from_before_there_were_digests_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(2)}, path, {"qtt": '{"step": 3}'})
    tensors, metadata = load_tensors(path)
    assert tensors["a"].tolist() == [1, 1] and metadata == {"step": 3}


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
