"""EgoGestAR gestures: 16 frames of every clip at 48 x 64, in one npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qtt_hw.data.collection import Collection
from qtt_hw.data.labels import class_indices, class_names
from qtt_hw.data.npz import read_npz
from qtt_hw.data.optical_flow import optical_flow
from qtt_hw.data.options import FlowOptions
from qtt_hw.data.samples import Samples
from qtt_hw.data.video_sets import fold_mask

__all__ = ["FILE", "load_egogestar"]

FILE = "egogestar_clips_rgb_16x48x64.npz"


def load_egogestar(folder: Path, options: FlowOptions) -> Collection:
    """Clips uint8 [N, 16, 48, 64, 3] in RGB, or their optical flow in 2 channels.

    Clips of one serial number share their scene in every class, so they stay on one side of a split; `fold = k` tests
    on that fold, which is a block of serials.

    Parameters
    ----------
    folder : Path
    options : FlowOptions
    """
    path = folder / FILE
    arrays = read_npz(path)
    for key in ("X", "y", "serial", "fold", "classes"):
        if key not in arrays:
            raise ValueError(f"{path}: has no {key}; expected X, y, serial, fold and classes")
    x, y = arrays["X"], arrays["y"]
    if x.dtype != np.uint8 or x.ndim != 5 or any(arrays[key].shape != (len(x),) for key in ("y", "serial", "fold")):
        raise ValueError(
            f"{path}: X is {x.dtype} {list(x.shape)}, expected uint8 [N, D, H, W, 3] and y, serial, fold [N]"
        )
    labels = class_names(arrays["classes"], f"{path}: classes")
    classes = class_indices(y, len(x), labels, f"{path}: y")
    read = f"X uint8 {list(x.shape)} as N, D, H, W, C{', as optical flow' if options.flow else ''}"
    if options.flow:
        x = np.stack([optical_flow(clip, options.flow_scale) for clip in x])
    test = fold_mask([int(fold) for fold in arrays["fold"]], options.fold, str(path))
    serials = tuple(str(serial) for serial in arrays["serial"])
    return Collection(Samples(x, classes), serials, labels, test, read=read)
