"""VoxNet: two 3D convolutions on occupancy grids."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["VoxNet"]


class VoxNet(nn.Module):
    """Logits [N, classes] of occupancy grids [N, 1, side, side, side].

    Maturana, Scherer, "VoxNet: a 3D convolutional neural network for real-time object recognition", IROS 2015, doi
    10.1109/IROS.2015.7353481.

    Parameters
    ----------
    classes : int
        40 of ModelNet40.
    side : int
        Of the grid, in voxels.
    """

    def __init__(self, classes: int = 40, side: int = 32) -> None:
        super().__init__()
        left = (((side - 5) // 2 + 1) - 2) // 2
        self.body = nn.Sequential(
            nn.Conv3d(1, 32, 5, stride=2),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.2),
            nn.Conv3d(32, 32, 3),
            nn.LeakyReLU(0.1),
            nn.MaxPool3d(2),
            nn.Dropout(0.3),
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * left**3, 128), nn.ReLU(), nn.Dropout(0.4), nn.Linear(128, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits
