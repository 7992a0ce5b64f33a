"""Public networks, each from its own package and as it stands there: accepted, or refused and why.

    pip install --no-deps -r bench/networks.txt
    python -m bench.networks -o results/networks.json
    python -m bench.networks r3d_18 x3d_s

Those of `bench.zoo` are written from their papers, since none of the packages has them.

A row says what `qtt check` says of an untrained network, whether its branches nest, and how large it is as integers.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import library, nn

from bench.report import command
from bench.rows import append_row, made_by
from bench.zoo import (
    C3D,
    DSCNN,
    Autoencoder,
    DeepID,
    MobileNetV1,
    MobileNetV23d,
    ResNet8,
    ShuffleNetV23d,
    SqueezeNet3d,
    VoxNet,
)
from qtt_hw.fixedpoint import Format
from qtt_hw.lower.check import check
from qtt_hw.process import run_command

IMAGES = Format(8, True, 7)
#: Inputs [N, C, D, H, W] and [N, C, H, W].
CLIP, LONG_CLIP, VOLUME, IMAGE = (1, 3, 8, 64, 64), (1, 3, 16, 224, 224), (1, 1, 32, 32, 32), (1, 3, 96, 96)
LARGE_IMAGE = (1, 3, 224, 224)
#: The package of networks that are written here.
WRITTEN = "bench.zoo"


@dataclass(frozen=True)
class Network:
    """A network of a package, or one of `bench.zoo`.

    Parameters
    ----------
    package : str
        With a version, but for `bench.zoo`.
    make : callable
    shape : tuple of int
        Of its input.
    """

    package: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]


def _torchvision(name: str, **arguments: Any) -> nn.Module:
    without_torchvision_operators()
    models, video = (importlib.import_module(f"torchvision.models{part}") for part in ("", ".video"))
    made: nn.Module = getattr(models if hasattr(models, name) else video, name)(weights=None, **arguments)
    return made


def without_torchvision_operators() -> None:
    """Declare what torchvision's compiled part would: a wheel for another torch's CPU or CUDA does not load it.

    No network here calls it.
    """
    if hasattr(torch.ops.torchvision, "nms"):
        return
    for name in ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"):
        library.define(f"torchvision::{name}", "(Tensor a) -> Tensor")
        library.define(f"torchvision::_{name}_backward", "(Tensor a) -> Tensor")
    library.define("torchvision::_cuda_version", "() -> int")


def _pytorchvideo(module: str, function: str, **arguments: Any) -> nn.Module:
    without_torchvision_operators()
    made: nn.Module = getattr(importlib.import_module(f"pytorchvideo.models.{module}"), function)(**arguments)
    return made


def _monai(name: str, **arguments: Any) -> nn.Module:
    made: nn.Module = getattr(importlib.import_module("monai.networks.nets"), name)(**arguments)
    return made


def _timm(name: str) -> nn.Module:
    without_torchvision_operators()
    made: nn.Module = importlib.import_module("timm").create_model(name, pretrained=False)
    return made


_TORCHVISION = {
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18"), CLIP),
    "s3d": LONG_CLIP,
    **dict.fromkeys(
        ("resnet18", "resnet50", "resnext50_32x4d", "squeezenet1_0", "squeezenet1_1", "densenet121"), IMAGE
    ),
    **dict.fromkeys(
        ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet0_5", "efficientnet_b0"), IMAGE
    ),
    **dict.fromkeys(("efficientnet_v2_s", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"), IMAGE),
    **dict.fromkeys(("regnet_x_400mf", "regnet_y_400mf", "convnext_tiny", "swin_t"), IMAGE),
    **dict.fromkeys(("alexnet", "vgg11_bn", "vit_b_16"), LARGE_IMAGE),
}
_TIMM = (
    *("mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_lite0", "tf_efficientnet_lite0", "repvgg_a0"),
    *("ghostnet_100", "hardcorenas_a", "dla34", "darknet53", "cspresnet50", "seresnet18", "res2net50_14w_8s"),
    *("xception41", "inception_v4", "vovnet39a", "ese_vovnet19b_dw", "rexnet_100", "lcnet_050", "tinynet_e"),
    *("fbnetc_100", "semnasnet_075", "selecsls42b", "dpn68", "mixnet_s", "skresnet18", "resnest14d", "nfnet_l0"),
    *("hrnet_w18_small",),
)
_VOLUMES: dict[str, Any] = {"spatial_dims": 3, "in_channels": 1}
_RESNET = partial(_pytorchvideo, "resnet", "create_resnet", input_channel=3, model_depth=50, model_num_class=10)
NETWORKS: dict[str, Network] = {
    **{n: Network("torchvision", partial(_torchvision, n), shape) for n, shape in _TORCHVISION.items()},
    "googlenet": Network("torchvision", partial(_torchvision, "googlenet", init_weights=False), IMAGE),
    "inception_v3": Network("torchvision", partial(_torchvision, "inception_v3", init_weights=False), (1, 3, 299, 299)),
    "slow_r50": Network("pytorchvideo", partial(_RESNET, head_pool_kernel_size=(8, 2, 2)), CLIP),
    "i3d_r50": Network(
        "pytorchvideo", partial(_RESNET, stem_conv_kernel_size=(5, 7, 7), head_pool_kernel_size=(8, 2, 2)), CLIP
    ),
    "csn_r101": Network(
        "pytorchvideo",
        partial(_pytorchvideo, "csn", "create_csn", model_num_class=10, head_pool_kernel_size=(1, 2, 2)),
        CLIP,
    ),
    "x3d_s": Network(
        "pytorchvideo",
        partial(_pytorchvideo, "x3d", "create_x3d", input_clip_length=8, input_crop_size=96, model_num_class=10),
        (1, 3, 8, 96, 96),
    ),
    "monai resnet10": Network(
        "monai", partial(_monai, "resnet10", spatial_dims=3, n_input_channels=1, num_classes=3), VOLUME
    ),
    "monai DenseNet121, 3D": Network(
        "monai", partial(_monai, "DenseNet121", spatial_dims=3, in_channels=1, out_channels=3), VOLUME
    ),
    "monai SEResNet50, 3D": Network(
        "monai", partial(_monai, "SEResNet50", spatial_dims=3, in_channels=1, num_classes=3), VOLUME
    ),
    "monai EfficientNet-B0, 3D": Network(
        "monai",
        partial(_monai, "EfficientNetBN", **_VOLUMES, model_name="efficientnet-b0", pretrained=False, num_classes=3),
        VOLUME,
    ),
    **{f"timm {n}": Network("timm", partial(_timm, n), IMAGE) for n in _TIMM},
    **{
        name: Network(WRITTEN, make, (1, 3, 16, 112, 112))
        for name, make in {
            "C3D": C3D,
            "MobileNetV2, 3D": MobileNetV23d,
            "SqueezeNet, 3D": SqueezeNet3d,
            "ShuffleNetV2, 3D": ShuffleNetV23d,
        }.items()
    },
    "VoxNet": Network(WRITTEN, VoxNet, VOLUME),
    "DeepID": Network(WRITTEN, DeepID, (1, 1, 39, 31)),
    "DeepID2": Network(WRITTEN, partial(DeepID, (3, 55, 47), 8192), (1, 3, 55, 47)),
    "MLPerf Tiny DS-CNN": Network(WRITTEN, DSCNN, (1, 1, 49, 10)),
    "MLPerf Tiny MobileNetV1": Network(WRITTEN, MobileNetV1, IMAGE),
    "MLPerf Tiny ResNet-8": Network(WRITTEN, ResNet8, (1, 3, 32, 32)),
    "MLPerf Tiny autoencoder": Network(WRITTEN, Autoencoder, (1, 640)),
}


def packaged(package: str) -> str:
    """The package and its version; raises ImportError where it is missing."""
    return package if package == WRITTEN else f"{package} {version(package)}"


def measured(name: str) -> dict[str, Any]:
    """The row of a network; raises ValueError where its package is missing."""
    network = NETWORKS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = network.make().eval()
            package = packaged(network.package)
        except ImportError as error:
            raise ValueError(f"{name}: {error}; pip install --no-deps -r bench/networks.txt") from None
        started = time.perf_counter()
        rows = check(model, torch.zeros(network.shape), IMAGES)
    refused = Counter((row.type, row.instead) for row in rows if not row.supported)
    return {
        "network": name,
        "package": package,
        "input": list(network.shape),
        "accepted": not refused,
        "calls": len(rows),
        "refused": [{"type": kind, "why": why, "times": times} for (kind, why), times in refused.most_common()],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.networks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="all when left out")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.networks if name not in NETWORKS]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such network; there are {', '.join(NETWORKS)}")
    accepted = 0
    chosen = given.networks or list(NETWORKS)
    for name in chosen:
        row = measured(name)
        accepted += row["accepted"]
        print(f"{name}: " + ("accepted" if row["accepted"] else f"refused, {row['refused'][0]['why']}"), flush=True)
        if given.output is not None:
            made = made_by(command(given.output))
            append_row(given.output, row | made, ("network",))
    print(f"{accepted} of {len(chosen)} accepted")


if __name__ == "__main__":
    sys.exit(run_command("bench.networks", main, whole=True))
