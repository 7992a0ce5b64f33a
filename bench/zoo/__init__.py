"""Public networks that no package here has, written from their papers in plain PyTorch, a module for each family."""

from __future__ import annotations

from bench.zoo.c3d import C3D
from bench.zoo.deepid import DeepID
from bench.zoo.mobilenet3d import MobileNetV23d
from bench.zoo.shufflenet3d import ShuffleNetV23d
from bench.zoo.squeezenet3d import SqueezeNet3d
from bench.zoo.tiny import DSCNN, Autoencoder, MobileNetV1, ResNet8
from bench.zoo.voxnet import VoxNet

__all__ = [
    "C3D",
    "DSCNN",
    "Autoencoder",
    "DeepID",
    "MobileNetV1",
    "MobileNetV23d",
    "ResNet8",
    "ShuffleNetV23d",
    "SqueezeNet3d",
    "VoxNet",
]
