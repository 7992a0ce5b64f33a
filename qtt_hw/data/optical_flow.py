"""Farneback optical flow between the frames of a clip, as bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.options import require

__all__ = ["optical_flow"]


def optical_flow(clip: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Motion from every frame to the next, uint8 [D, H, W, 2]: to the right, and down.

    A byte is 128 + scale * pixels of the clip's own size, rounded half up and clipped to 0 to 255, so that 128 is no
    motion. The last flow stands twice, which keeps D; a single frame has no motion.

    Parameters
    ----------
    clip : uint8 array, [D, H, W, 3]
        RGB.
    scale : float
        With 32, motion of up to 4 pixels a frame can be told, in steps of 1/32.

    Notes
    -----
    Farneback, Two-Frame Motion Estimation Based on Polynomial Expansion, doi 10.1007/3-540-45103-X_50: three levels of
    a pyramid at one half, windows of 15 pixels, three iterations, polynomials over 5 pixels with sigma 1.1.
    """
    cv2 = require("cv2", "optical flow")
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]
    flows = np.zeros((len(clip), *clip.shape[1:3], 2), dtype=np.float64)
    for index, (before, after) in enumerate(zip(grey, grey[1:], strict=False)):
        flows[index] = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.1, 0)
    if len(clip) > 1:
        flows[-1] = flows[-2]
    return np.asarray(np.clip(np.floor(flows * scale + 128.5), 0, 255), dtype=np.uint8)
