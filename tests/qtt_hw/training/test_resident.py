"""Batches of samples that stay on a device are the processor's, bit for bit; the device here is the processor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from qtt_hw.data import Augmentation, Samples, Splits
from qtt_hw.fixedpoint import Format
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.training import train
from qtt_hw.training.batches import Batches
from qtt_hw.training.checkpoint import load_tensors
from qtt_hw.training.config import Config
from qtt_hw.training.resident import Resident

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)


def samples(shape: tuple[int, ...], most: int) -> Samples:
    x = RANDOM.integers(0, most + 1, size=(40, *shape), dtype=np.uint8)
    return Samples(x, np.arange(40, dtype=np.int64) % 7)


VOXELS = samples((9, 9, 7, 1), 1)
FLAT = samples((6, 7, 5, 2), 1)
IMAGES = samples((1, 8, 8, 3), 255)


@pytest.mark.parametrize(
    "data, how",
    [
        (VOXELS, Augmentation()),
        (VOXELS, Augmentation((0.5, 0.5, 0.5), (2, 1, 12))),
        (VOXELS, Augmentation((0.5, 0, 0.5), (2, 1, 0), "W")),
        (VOXELS, Augmentation((0.5, 0.5, 0.5), (1, 1, 1), "W", 12, (0.3, 0.2, 0.4))),
        (VOXELS, Augmentation(scales=(0.9, 0, 0.4))),
        (FLAT, Augmentation((0.5, 0, 0.5), (1, 0, 0), "D", scales=(0.2, 0.2, 0.2))),
        (FLAT, Augmentation((0, 0, 0.5), (0, 0, 1), "H")),
        (FLAT, Augmentation(rotation="W", turns=12)),
        (IMAGES, Augmentation((0, 0, 0.5), (0, 4, 4))),
    ],
)
def test_batches_are_the_processors(data: Samples, how: Augmentation) -> None:
    if data is IMAGES:
        spec = input_spec(data.sample_shape, 1, 128, Format(8, True, 7))
    else:
        spec = input_spec(data.sample_shape, 2, gain=1)
    plain = Batches(data, spec, how, 16, 3, CPU)
    resident = replace(plain, resident=Resident(data, CPU))
    for epoch, index in ((0, 0), (5, 1)):
        (x, y), (there, classes) = plain.make(epoch, index), resident.make(epoch, index)
        assert torch.equal(x, there) and there.dtype == torch.float32 and torch.equal(y, classes)
        assert there.is_contiguous(memory_format=torch.channels_last_3d)
    unchanged = (each.some(1, 2, augmented=False)[0] for each in (plain, resident))
    assert torch.equal(*unchanged)


def test_signed_voxels_too() -> None:
    spec = input_spec(VOXELS.sample_shape, 2, 1, Format(2, True, 0), gain=2)
    plain = Batches(VOXELS, spec, Augmentation(shifts=(2, 2, 2)), 16, 3, CPU)
    assert torch.equal(plain.make(0, 0)[0], replace(plain, resident=Resident(VOXELS, CPU)).make(0, 0)[0])


def test_the_processor_keeps_its_own() -> None:
    assert Resident.where_it_pays(VOXELS, CPU) is None


def test_a_run_with_samples_on_the_device_is_the_same(
    config: Config, solids: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = config.changed("short", {}, ["teacher"])
    train(short, solids, tmp_path / "plain")
    monkeypatch.setattr(Resident, "where_it_pays", Resident)
    train(short, solids, tmp_path / "resident")
    plain, there = (load_tensors(tmp_path / name / "quantized.safetensors")[0] for name in ("plain", "resident"))
    assert all(torch.equal(value, there[name]) for name, value in plain.items())
