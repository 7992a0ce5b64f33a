"""Networks of packages with fewer channels, blocks and parts: by their own arguments where they have them."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from torch import nn

from bench.networks import without_torchvision_operators
from bench.thinning import thinned

__all__ = [
    "cut",
    "densenet",
    "efficientnet",
    "ghostnet",
    "mobilenet_v2",
    "mobilenet_v3",
    "monai_efficientnet",
    "monai_senet",
    "of_monai",
    "of_pytorchvideo",
    "of_timm",
    "of_torchvision",
    "regnet",
    "repvgg",
    "res2net",
    "resnet",
    "s3d",
    "shufflenet",
    "squeezenet",
    "video_resnet",
    "vovnet",
]


def _module(path: str) -> Any:
    """A package's module, once torchvision's operators are declared."""
    without_torchvision_operators()
    return import_module(path)


def cut(model: Any, parts: tuple[str, ...], classifier: str, features: int) -> Any:
    """A network without some of its parts, whose classifier reads so many features."""
    for part in parts:
        setattr(model, part, nn.Identity())
    setattr(model, classifier, nn.Linear(features, 10))
    return model


def video_resnet(stem: str, makers: tuple[str, ...]) -> nn.Module:
    """A residual network on clips of torchvision, by its stem and what convolves in its four parts."""
    package = _module("torchvision.models.video.resnet")
    kinds = [getattr(package, name) for name in makers]
    model = package.VideoResNet(package.BasicBlock, kinds, [1, 1, 1, 1], getattr(package, stem))
    return thinned(cut(model, ("layer4",), "fc", 256), 8)


def s3d() -> nn.Module:
    """S3D with the first two inception blocks."""
    model: Any = _module("torchvision.models.video").s3d(weights=None, num_classes=10)
    model.features = model.features[:7]
    model.avgpool = nn.AvgPool3d((2, 2, 2), stride=1)
    model.classifier[1] = nn.Conv3d(480, 10, 1)
    return thinned(model, 8)


def resnet(block: str, divisor: int, layers: tuple[int, ...] = (1, 1, 1, 1), **arguments: Any) -> nn.Module:
    """A residual network on images of torchvision, without its last part."""
    package = _module("torchvision.models.resnet")
    model = package.ResNet(getattr(package, block), list(layers), **arguments)
    return thinned(cut(model, ("layer4",), "fc", 1024), divisor)


def of_torchvision(name: str, divisor: int, **arguments: Any) -> nn.Module:
    """A network of torchvision's own function."""
    made = getattr(_module("torchvision.models"), name)(weights=None, num_classes=10, **arguments)
    return thinned(made, divisor) if divisor > 1 else made


def squeezenet() -> nn.Module:
    """SqueezeNet with the first two fire modules."""
    model: Any = of_torchvision("squeezenet1_1", 1)
    model.features = model.features[:5]
    model.classifier[1] = nn.Conv2d(128, 10, 1)
    return thinned(model, 4)


def densenet() -> nn.Module:
    """DenseNet of two blocks."""
    package = _module("torchvision.models.densenet")
    made: nn.Module = package.DenseNet(4, (2, 2), 8, bn_size=2, num_classes=10)
    return made


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 of three blocks."""
    settings = [[1, 16, 1, 1], [6, 24, 2, 2]]
    made = _module("torchvision.models.mobilenetv2").MobileNetV2(10, inverted_residual_setting=settings)
    return thinned(made, 8)


def mobilenet_v3() -> nn.Module:
    """MobileNetV3 with the first two blocks."""
    package = _module("torchvision.models.mobilenetv3")
    settings, _ = package._mobilenet_v3_conf("mobilenet_v3_small", width_mult=0.5)
    made: nn.Module = package.MobileNetV3(settings[:2], 32, num_classes=10)
    return made


def efficientnet() -> nn.Module:
    """EfficientNet of two blocks."""
    package = _module("torchvision.models.efficientnet")
    block = partial(package.MBConvConfig, width_mult=0.5)
    settings = [block(1, 3, 1, 32, 16, 1), block(6, 3, 2, 16, 24, 1)]
    made: nn.Module = package.EfficientNet(settings, 0.2, num_classes=10, last_channel=32)
    return made


def shufflenet() -> nn.Module:
    """ShuffleNetV2 with the first of its parts."""
    model = _module("torchvision.models.shufflenetv2").ShuffleNetV2([2, 1, 1], [8, 16, 24, 32, 48])
    model.conv5[0] = nn.Conv2d(16, 48, 1, bias=False)
    made: nn.Module = cut(model, ("stage3", "stage4"), "fc", 48)
    return made


def regnet() -> nn.Module:
    """RegNet with gates, of two blocks."""
    package = _module("torchvision.models.regnet")
    settings = package.BlockParams.from_init_params(depth=2, w_0=8, w_a=8.0, w_m=2.0, group_width=4, se_ratio=0.25)
    made: nn.Module = package.RegNet(settings, num_classes=10, stem_width=8)
    return made


def of_pytorchvideo(module: str, function: str, parts: int = 4, **arguments: Any) -> nn.Module:
    """With one block each of the first parts."""
    model = getattr(_module(f"pytorchvideo.models.{module}"), function)(model_num_class=10, **arguments)
    first, *residual, head = model.blocks
    for part in residual:
        part.res_blocks = part.res_blocks[:1]
    if parts < len(residual):
        last = [layer for layer in residual[parts - 1].modules() if isinstance(layer, nn.Conv3d)][-1]
        head.proj = nn.Linear(last.out_channels, 10)
    model.blocks = nn.ModuleList([first, *residual[:parts], head])
    made: nn.Module = model
    return made


def of_monai(name: str, *arguments: Any, **named: Any) -> nn.Module:
    """A network of MONAI."""
    made: nn.Module = getattr(_module("monai.networks.nets"), name)(*arguments, **named)
    return made


def monai_senet() -> nn.Module:
    """SE-ResNet on volumes, without its last two parts."""
    model = of_monai("SEResNet50", layers=(1, 1, 1, 1), reduction=4, spatial_dims=3, in_channels=1)
    return thinned(cut(model, ("layer3", "layer4"), "last_linear", 512), 16)


def monai_efficientnet() -> nn.Module:
    """EfficientNet on volumes, of three blocks."""
    blocks = ["r1_k3_s11_e1_i32_o16_se0.25", "r2_k3_s22_e6_i16_o24_se0.25"]
    model = _module("monai.networks.nets.efficientnet").EfficientNet(
        blocks, spatial_dims=3, in_channels=1, num_classes=3, width_coefficient=0.25, image_size=16
    )
    return thinned(model, 4)


def of_timm(name: str, divisor: int = 1, **arguments: Any) -> nn.Module:
    """A network of timm."""
    made = _module("timm").create_model(name, pretrained=False, num_classes=10, **arguments)
    return thinned(made, divisor) if divisor > 1 else made


def res2net() -> nn.Module:
    """Res2Net without its last two parts."""
    settings: dict[str, Any] = {"layers": [1, 1, 1, 1], "base_width": 16, "stem_width": 8, "channels": [8, 16, 16, 16]}
    model = of_timm("res2net50_14w_8s", block_args={"scale": 3}, **settings)
    made: nn.Module = cut(model, ("layer3", "layer4"), "fc", 64)
    return made


def vovnet(**changes: Any) -> nn.Module:
    """VoVNet of few channels, with changes of its configuration."""
    settings = {
        "stem_chs": [4, 4, 8],
        "stage_conv_chs": [4, 4, 8, 8],
        "stage_out_chs": [8, 8, 16, 16],
        "layer_per_block": 2,
        "block_per_stage": [1, 1, 1, 1],
        "residual": False,
        "depthwise": False,
        "attn": "",
    }
    made: nn.Module = _module("timm.models.vovnet").VovNet({**settings, **changes}, num_classes=10)
    return made


def repvgg() -> nn.Module:
    """RepVGG of five blocks."""
    package = _module("timm.models.byobnet")
    blocks = tuple(package.ByoBlockCfg(type="rep", d=d, c=c, s=2, gs=0) for d, c in ((2, 8), (1, 12), (2, 16)))
    made: nn.Module = package.ByobNet(package.ByoModelCfg(blocks, stem_type="rep", stem_chs=8), num_classes=10)
    return made


def ghostnet() -> nn.Module:
    """GhostNet of two blocks."""
    blocks = [[[3, 16, 16, 0, 1]], [[5, 48, 24, 0.25, 2]]]
    made = _module("timm.models.ghostnet").GhostNet(blocks, num_classes=10, width=0.5)
    return thinned_head(made, 64)


def thinned_head(model: Any, features: int) -> nn.Module:
    """GhostNet whose last pointwise convolution makes fewer features."""
    head = model.conv_head
    model.conv_head = nn.Conv2d(head.in_channels, features, 1)
    model.classifier = nn.Linear(features, model.classifier.out_features)
    return model  # type: ignore[no-any-return]
