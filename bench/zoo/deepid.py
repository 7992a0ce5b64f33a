"""DeepID and DeepID2: the features of a face are read from the last two maps together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DeepID"]


class DeepID(nn.Module):
    """Logits [N, identities] of aligned parts of faces, [N, 1, 39, 31] of DeepID and [N, 3, 55, 47] of DeepID2.

    Sun, Wang, Tang, "Deep learning face representation from predicting 10,000 classes", doi 10.1109/CVPR.2014.244; of
    the other sizes Sun, Wang, Tang, "Deep learning face representation by joint identification-verification",
    arXiv:1406.4773. All convolutions share their weights over the whole map, which theirs do in part.

    Parameters
    ----------
    size : (int, int, int)
        Channels, height and width of the inputs.
    identities : int
    """

    def __init__(self, size: tuple[int, int, int] = (1, 39, 31), identities: int = 10000) -> None:
        super().__init__()
        channels, *sides = size
        self.lower = nn.Sequential(
            nn.Conv2d(channels, 20, 4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 40, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(40, 60, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.upper = nn.Sequential(nn.Conv2d(60, 80, 2), nn.ReLU())
        height, width = ((((side - 3) // 2 - 2) // 2 - 2) // 2 for side in sides)
        self.deepid = nn.Linear(60 * height * width + 80 * (height - 1) * (width - 1), 160)
        self.identity = nn.Linear(160, identities)

    def forward(self, x: Tensor) -> Tensor:
        lower = self.lower(x)
        upper = self.upper(lower)
        both = torch.cat((lower.flatten(1), upper.flatten(1)), dim=1)
        logits: Tensor = self.identity(torch.relu(self.deepid(both)))
        return logits
