"""ModelNet10 at 30^3 voxels, the official split: packed bits in one npz file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.arrays import Raw
from qtt_hw.data.labels import class_indices, class_names
from qtt_hw.data.npz import read_npz
from qtt_hw.data.samples import Samples

__all__ = ["FILE", "load_modelnet10"]

FILE = "modelnet10_vox30.npz"


def load_modelnet10(folder: Path) -> Raw:
    """Samples uint8 0 or 1 [N, 30, 30, 30, 1] of the official training and test set; z is up, along W."""
    path = folder / FILE
    arrays = read_npz(path)
    for key in ("X_train", "y_train", "X_test", "y_test", "shape", "classes"):
        if key not in arrays:
            raise ValueError(f"{path}: has no {key}; expected packed X_train, X_test, y_train, y_test, shape, classes")
    shape = tuple(int(n) for n in arrays["shape"])
    labels = class_names(arrays["classes"], f"{path}: classes")
    bits = math.prod(shape)
    parts = []
    for part in ("train", "test"):
        packed, y = arrays[f"X_{part}"], arrays[f"y_{part}"]
        if packed.dtype != np.uint8 or packed.ndim != 2 or min(shape) < 1 or packed.shape[1] != -(-bits // 8):
            raise ValueError(f"{path}: X_{part} is {packed.dtype} {list(packed.shape)}, expected packed {shape}")
        if len(packed) != len(y):
            raise ValueError(f"{path}: X_{part} has {len(packed)} samples, y_{part} has {len(y)}")
        classes = class_indices(y, len(packed), labels, f"{path}: y_{part}")
        parts.append(Samples(_unpack(packed, shape), classes))
    read = f"X_train of packed bits [{len(parts[0])}, {', '.join(map(str, shape))}] as N, D, H, W"
    return Raw(parts[0], parts[1], labels, read=read)


def _unpack(packed: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    bits = np.unpackbits(packed, axis=1, count=math.prod(shape))
    return bits.reshape(len(packed), *shape, 1)
