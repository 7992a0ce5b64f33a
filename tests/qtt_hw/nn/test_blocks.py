"""The convolution block."""

import torch
from torch import nn

from qtt_hw.nn import ConvBlock, TTConv3d


def test_block_is_convolution_batch_norm_and_relu_in_this_order() -> None:
    dense, train = ConvBlock(2, 4, 3, None, 2, 1), ConvBlock(2, 4, 3, 3, (1, 2, 1), 1)
    assert [type(m) for m in dense] == [nn.Conv3d, nn.BatchNorm3d, nn.ReLU]
    assert [type(m) for m in train] == [TTConv3d, nn.BatchNorm3d, nn.ReLU]
    x = torch.randn(2, 2, 5, 6, 7)
    assert dense(x).shape == (2, 4, 3, 3, 4) and train(x).shape == (2, 4, 5, 3, 7)
    assert float(train(x).detach().min()) == 0.0
    assert dense.conv.bias is None and train.conv.bias is None
