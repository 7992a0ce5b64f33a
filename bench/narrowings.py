"""Public networks narrowed until their hardware simulates in seconds: what each is made with, and how that is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from bench.cuts import (
    cut,
    densenet,
    efficientnet,
    ghostnet,
    mobilenet_v2,
    mobilenet_v3,
    monai_efficientnet,
    monai_senet,
    of_monai,
    of_pytorchvideo,
    of_timm,
    of_torchvision,
    regnet,
    repvgg,
    res2net,
    resnet,
    s3d,
    shufflenet,
    squeezenet,
    video_resnet,
    vovnet,
)
from bench.networks import NETWORKS
from bench.thinning import thinned
from bench.zoo import C3D, DeepID, MobileNetV23d, ShuffleNetV23d, SqueezeNet3d, VoxNet
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.prepare import VOXELS

__all__ = ["IMAGES", "NARROWED", "Narrowed"]

IMAGES = Format(8, True, 7)
CLIP, VOLUME, IMAGE = (1, 3, 4, 16, 16), (1, 1, 16, 16, 16), (1, 3, 32, 32)
#: Frames a second at 100 MHz that plans are the least hardware for, unless the fastest is asked for.
RATE = 1000.0


@dataclass(frozen=True)
class Narrowed:
    """A network of `bench.networks`, narrowed.

    Parameters
    ----------
    make : callable
    shape : tuple of int
        Of its input.
    how : str
        What was narrowed, "nothing" where it is as published.
    weight_bits : int
    fps : float, optional
        That the plan is the least hardware for, at 100 MHz; the fastest plan without.
    samples : int
        To simulate back to back; 0 only plans.
    input_format : Format
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    how: str
    weight_bits: int = 4
    fps: float | None = RATE
    samples: int = 4
    input_format: Format = IMAGES


ONE_EACH = "one block a part"
NARROWED: dict[str, Narrowed] = {
    "r3d_18": Narrowed(
        partial(video_resnet, "BasicStem", ("Conv3DSimple",) * 4),
        CLIP,
        "one block each of three parts, an eighth of the channels",
    ),
    "mc3_18": Narrowed(
        partial(video_resnet, "BasicStem", ("Conv3DSimple", *["Conv3DNoTemporal"] * 3)),
        CLIP,
        "one block each of three parts, an eighth of the channels",
    ),
    "r2plus1d_18": Narrowed(
        partial(video_resnet, "R2Plus1dStem", ("Conv2Plus1D",) * 4),
        CLIP,
        "one block each of three parts, an eighth of the channels",
    ),
    "s3d": Narrowed(s3d, (1, 3, 4, 16, 16), "the first two inception blocks, an eighth of the channels"),
    "resnet50": Narrowed(
        partial(resnet, "Bottleneck", 16, replace_stride_with_dilation=[True, True, False]),
        IMAGE,
        "one block each of three parts, dilated instead of strided, a sixteenth of the channels",
        weight_bits=8,
    ),
    "resnext50_32x4d": Narrowed(
        partial(
            resnet, "Bottleneck", 16, groups=32, width_per_group=4, replace_stride_with_dilation=[True, True, False]
        ),
        IMAGE,
        "one block each of three parts, dilated instead of strided, a sixteenth of the channels and groups",
    ),
    "squeezenet1_1": Narrowed(squeezenet, IMAGE, "the first two fire modules, a quarter of the channels"),
    "densenet121": Narrowed(densenet, IMAGE, "two blocks of two layers, growth 4, 8 first features"),
    "mobilenet_v2": Narrowed(mobilenet_v2, IMAGE, "three blocks, an eighth of the channels"),
    "mobilenet_v3_small": Narrowed(mobilenet_v3, IMAGE, "the first two blocks, half of the channels, a head of 32"),
    "efficientnet_b0": Narrowed(efficientnet, IMAGE, "two blocks, half of the channels, a head of 32", weight_bits=8),
    "shufflenet_v2_x0_5": Narrowed(
        shufflenet,
        IMAGE,
        "the first part with two units, 8 to 48 channels",
        fps=None,
    ),
    "regnet_y_400mf": Narrowed(regnet, IMAGE, "depth 2, width 8, groups of 4"),
    "googlenet": Narrowed(
        partial(of_torchvision, "googlenet", 16, aux_logits=False, init_weights=False),
        IMAGE,
        "a sixteenth of the channels",
    ),
    "alexnet": Narrowed(partial(of_torchvision, "alexnet", 32), (1, 3, 224, 224), "a 32nd of the channels", fps=300.0),
    "slow_r50": Narrowed(
        partial(of_pytorchvideo, "resnet", "create_resnet", 2, stem_dim_out=4, head_pool_kernel_size=(4, 2, 2)),
        CLIP,
        "one block each of two parts, 4 channels behind the first convolution",
    ),
    "csn_r101": Narrowed(
        partial(of_pytorchvideo, "csn", "create_csn", 2, stem_dim_out=4, head_pool_kernel_size=(4, 4, 4)),
        (1, 3, 8, 16, 16),
        "one block each of two parts, 4 channels behind the first convolution",
    ),
    "x3d_s": Narrowed(
        partial(
            of_pytorchvideo,
            "x3d",
            "create_x3d",
            input_clip_length=4,
            input_crop_size=32,
            stem_dim_in=4,
            width_factor=1.0,
            depth_factor=1.0,
            head_dim_out=32,
        ),
        (1, 3, 4, 32, 32),
        f"{ONE_EACH}, 4 channels behind the first convolution, a head of 32",
    ),
    "monai resnet10": Narrowed(
        partial(
            of_monai, "ResNet", "basic", [1, 1, 1, 1], [4, 8, 16, 32], spatial_dims=3, n_input_channels=1, num_classes=3
        ),
        VOLUME,
        "4 to 32 channels",
    ),
    "monai DenseNet121, 3D": Narrowed(
        partial(
            of_monai,
            "DenseNet",
            spatial_dims=3,
            in_channels=1,
            out_channels=3,
            init_features=8,
            growth_rate=4,
            block_config=(2, 2),
            bn_size=2,
        ),
        VOLUME,
        "two blocks of two layers, growth 4, 8 first features",
    ),
    "monai SEResNet50, 3D": Narrowed(
        monai_senet,
        VOLUME,
        "one block each of two parts, a sixteenth of the channels, gates of a quarter of theirs",
    ),
    "monai EfficientNet-B0, 3D": Narrowed(monai_efficientnet, VOLUME, "three blocks, a sixteenth of the channels"),
    "timm ghostnet_100": Narrowed(ghostnet, IMAGE, "two blocks, half of the channels, a head of 64"),
    "timm seresnet18": Narrowed(
        lambda: thinned(cut(of_timm("seresnet18", layers=[1, 1, 1, 1]), ("layer3", "layer4"), "fc", 128), 16),
        IMAGE,
        "one block each of two parts, a sixteenth of the channels",
    ),
    "timm repvgg_a0": Narrowed(repvgg, IMAGE, "five blocks of 8 to 16 channels"),
    "timm vovnet39a": Narrowed(vovnet, IMAGE, "two layers a block, one block a part, 4 to 16 channels"),
    "timm ese_vovnet19b_dw": Narrowed(
        partial(vovnet, stage_out_chs=[8, 8, 8, 16], residual=True, depthwise=True, attn="ese"),
        IMAGE,
        "two layers a block, 4 to 16 channels",
    ),
    "timm selecsls42b": Narrowed(partial(of_timm, "selecsls42b", 8), IMAGE, "an eighth of the channels"),
    "timm dla34": Narrowed(
        partial(of_timm, "dla34", levels=[1, 1, 1, 2, 1, 1], channels=[4, 4, 8, 8, 16, 16]),
        IMAGE,
        "one level less, 4 to 16 channels",
    ),
    "timm res2net50_14w_8s": Narrowed(
        res2net,
        IMAGE,
        "one block each of two parts, scale 3, 8 and 16 channels",
    ),
    "timm rexnet_100": Narrowed(
        partial(of_timm, "rexnet_100", width_mult=0.25, depth_mult=0.2, final_chs=90),
        IMAGE,
        "a quarter of the channels, six blocks",
    ),
    "timm dpn68": Narrowed(
        partial(of_timm, "dpn68", k_sec=(1, 1, 1, 1), inc_sec=(4, 4, 4, 4), k_r=16, groups=4),
        IMAGE,
        "four blocks, 4 groups",
    ),
    "C3D": Narrowed(
        partial(C3D, 10, width=4, hidden=16, side=2), (1, 3, 16, 32, 32), "4 to 32 channels, linear layers of 16"
    ),
    "VoxNet": Narrowed(
        partial(VoxNet, 10, side=16), (1, 1, 16, 16, 16), "a grid of 16 voxels a side", fps=None, input_format=VOXELS
    ),
    "DeepID": Narrowed(partial(DeepID, identities=10), (1, 1, 39, 31), "ten identities"),
    "DeepID2": Narrowed(partial(DeepID, (3, 55, 47), 10), (1, 3, 55, 47), "ten identities", samples=2),
    "MobileNetV2, 3D": Narrowed(
        partial(MobileNetV23d, 10, 0.25, ((1, 16, 1, 1), (6, 24, 2, 2)), 32),
        CLIP,
        "three blocks, a quarter of the channels, a head of 32",
    ),
    "SqueezeNet, 3D": Narrowed(partial(SqueezeNet3d, 10, 16), CLIP, "a quarter of the channels", weight_bits=8),
    "ShuffleNetV2, 3D": Narrowed(
        partial(ShuffleNetV23d, 10, (8, 16, 48), (2,)), CLIP, "one part with two units, 8 to 48 channels"
    ),
    **{
        f"MLPerf Tiny {name}": Narrowed(
            NETWORKS[f"MLPerf Tiny {name}"].make, NETWORKS[f"MLPerf Tiny {name}"].shape, "nothing", 8, None, samples
        )
        for name, samples in (("ResNet-8", 10), ("DS-CNN", 10), ("MobileNetV1", 0), ("autoencoder", 0))
    },
}
