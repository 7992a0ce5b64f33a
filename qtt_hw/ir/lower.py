"""Layer by layer from PyTorch modules to drafts of stages: what is supported, and what to use instead of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.ir.draft import Chain, ContractionDraft, Draft, Gauge, PermutationDraft, PoolDraft, ReshapeDraft
from qtt_hw.ir.graph import Shape, Window
from qtt_hw.nn.pool import PairAvgPool3d, PairMaxPool3d, PairPool3d
from qtt_hw.nn.qtt_conv import QTTConv3d
from qtt_hw.nn.tt_conv import STAGES, TTConv3d
from qtt_hw.nn.tt_linear import TTLinear
from qtt_hw.nn.window import same_padding, triple
from qtt_hw.tt.chain import ChainStep

__all__ = ["INSTEAD", "LEAVES", "Lowering", "Unsupported"]


class Unsupported(ValueError):
    """A layer that cannot be lowered; the text says why and what to use instead."""


#: What to use instead of a layer that has no lowering, by class name.
INSTEAD = {
    **dict.fromkeys(
        ("Conv1d", "Conv2d", "BatchNorm2d", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "MaxPool1d", "AvgPool1d"),
        "use its 3D form on inputs [N, C, 1, H, W]",
    ),
    **dict.fromkeys(
        ("ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Hardtanh", "Hardswish"),
        "use nn.ReLU",
    ),
    **dict.fromkeys(
        ("GroupNorm", "LayerNorm", "InstanceNorm3d", "SyncBatchNorm", "LocalResponseNorm"),
        "use nn.BatchNorm3d after a convolution",
    ),
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "Softmax2d"), "leave it out: the hardware puts out logits and their argmax"
    ),
    **dict.fromkeys(("AdaptiveMaxPool3d", "FractionalMaxPool3d"), "use nn.MaxPool3d"),
    "LPPool3d": "use nn.AvgPool3d",
    "ConvTranspose3d": "use nn.Conv3d",
    "Unflatten": "use nn.Flatten before the first nn.Linear only",
}


class Lowering:
    """Drafts of a chain of layers, and what the next layer may attach to.

    Parameters
    ----------
    shape : tuple of int
        (D, H, W, C) of the input.
    input_format : Format
    tt_form : "streamed" or "merged"
        See `QuantConfig`.
    """

    def __init__(self, shape: Shape, input_format: Format, tt_form: Literal["streamed", "merged"] = "streamed") -> None:
        self.tt_form = tt_form
        self.chain = Chain()
        self.shape = shape
        self.names: set[str] = set()
        self.used: set[str] = set()
        #: A flatten not yet applied to the stream: the next linear layer reads the map in the order C, D, H, W.
        self.flat = False
        #: Values cannot be negative, so that a ReLU changes nothing.
        self.nonnegative = not input_format.signed
        #: The contraction that batch norm may join, and the one that a ReLU may join.
        self.open: ContractionDraft | None = None
        self.relu_target: ContractionDraft | None = None
        #: After a layer that could not be lowered, what precedes is unknown and is not held against the rest.
        self.blind = False

    def apply(self, name: str, module: nn.Module) -> None:
        """Lower one module; raises Unsupported."""
        handler = _HANDLERS.get(type(module))
        if handler is None:
            raise Unsupported(f"is not supported; {INSTEAD.get(type(module).__name__, _ANY)}")
        if isinstance(module, _WEIGHTED):
            if name in self.used:
                raise Unsupported("is called twice, shared weights are not supported; use a layer of its own each time")
            self.used.add(name)
        try:
            handler(self, name, module)
        except Unsupported:
            raise
        except ValueError as error:
            raise Unsupported(f"does not fit its input: {error}; change the layer or the input size") from None

    # Drafts

    def add(self, draft: Draft) -> None:
        """Append a stage and move on to its output."""
        if draft.name in self.names:
            draft.name = next(f"{draft.name}_{i}" for i in range(1, 10**6) if f"{draft.name}_{i}" not in self.names)
        self.names.add(draft.name)
        self.shape = draft.out_shape  # checks the window
        self.chain.drafts.append(draft)

    def reshape(self, name: str, source: str, shape: Shape) -> None:
        if shape != self.shape:
            self.add(ReshapeDraft(name, source, self.shape, shape))

    def permute(self, name: str, source: str, order: tuple[int, ...]) -> None:
        if order != tuple(range(len(order))):
            self.add(PermutationDraft(name, source, self.shape, order))

    def contraction(
        self, name: str, source: str, window: Window, weight: torch.Tensor, **more: Any
    ) -> ContractionDraft:
        draft = ContractionDraft(name, source, self.shape, window, weight.detach(), self.chain.layers, **more)
        self.add(draft)
        return draft

    def finish_layer(self, draft: ContractionDraft) -> None:
        """Close a weighted layer: what batch norm and ReLU may join next."""
        self.chain.layers += 1
        self.open = self.relu_target = draft
        self.nonnegative = False
        self.blind = False

    def flatten_stream(self, name: str) -> None:
        """Carry a pending flatten out: one position whose channels stand in the order C, D, H, W."""
        d, h, w, c = self.shape
        if d * h * w > 1:
            self.reshape(f"{name}.flatten", name, (1, 1, 1, d * h * w * c))
            order = torch.arange(d * h * w * c).view(d, h, w, c).permute(3, 0, 1, 2).flatten()
            self.permute(f"{name}.order", name, tuple(order.tolist()))
            self.open = None

    # Layers

    def conv(self, name: str, layer: nn.Conv3d) -> None:
        if layer.groups != 1:
            raise Unsupported(f"has groups={layer.groups}; use groups=1")
        if tuple(layer.dilation) != (1, 1, 1):
            raise Unsupported(f"has dilation={tuple(layer.dilation)}; use dilation=1")
        if layer.padding_mode != "zeros":
            raise Unsupported(f"has padding_mode={layer.padding_mode!r}; use padding_mode='zeros'")
        kernel, stride = triple(layer.kernel_size, "kernel_size"), triple(layer.stride, "stride")
        window = Window(kernel, stride, same_padding(kernel, stride, layer.padding))
        self.finish_layer(self.contraction(name, name, window, layer.weight, bias=layer.bias))

    def tt_conv(self, name: str, layer: TTConv3d) -> None:
        for k, (stage, core) in enumerate(zip(STAGES, layer.cores, strict=True)):
            axis = k - 1 if 0 < k < 4 else None
            kernel, stride, padding = [1, 1, 1], [1, 1, 1], [(0, 0)] * 3
            if axis is not None:
                kernel[axis], stride[axis] = layer.kernel_size[axis], layer.stride[axis]
                padding[axis] = layer.padding[axis]
            window = Window((*kernel,), (*stride,), (*padding,))  # type: ignore[arg-type]
            bias = layer.bias if k == 4 else None
            if k > 0:
                here = len(self.chain.drafts)
                rank = (int(core.shape[1]),)
                self.chain.gauges.append(Gauge(here - 1, here, rank, 0, rank, 0))
            draft = self.contraction(f"{name}.{stage}", name, window, core, bias=bias, intermediate=k < 4)
        self.finish_layer(draft)

    def qtt_conv(self, name: str, layer: QTTConv3d) -> None:
        window = Window(layer.kernel_size, layer.stride, layer.padding)
        if self.tt_form == "merged":
            cores = [core.detach() for core in layer.train_cores()]
            draft = self.contraction(name, name, window, layer.kernel(), bias=layer.bias, cores=cores)
        else:
            steps = layer.steps()
            draft = self.steps(name, steps, [layer.step_weight(step) for step in steps], window, layer.bias)
        self.finish_layer(draft)

    def linear(self, name: str, layer: nn.Linear) -> None:
        self.need_flat("nn.Linear")
        d, h, w, c = self.shape
        weight = layer.weight.detach().view(-1, c, d, h, w)
        self.finish_layer(self.contraction(name, name, Window((d, h, w)), weight, bias=layer.bias))

    def tt_linear(self, name: str, layer: TTLinear) -> None:
        self.need_flat("TTLinear")
        self.flatten_stream(name)
        steps = layer.steps()
        weights = [layer.step_weight(step)[:, :, None, None, None] for step in steps]
        self.finish_layer(self.steps(name, steps, weights, Window(), layer.bias))

    def steps(
        self,
        name: str,
        steps: Sequence[ChainStep],
        weights: Sequence[torch.Tensor],
        window: Window,
        bias: torch.Tensor | None,
    ) -> ContractionDraft:
        """A contraction for each step of a tensor train; the window is that of the step with core 0."""
        previous: ChainStep | None = None
        for step, weight in zip(steps, weights, strict=True):
            last = step is steps[-1]
            if previous is not None:
                here = len(self.chain.drafts)
                out_axis = len(previous.made) - 1 if step.forward else 0
                in_axis = 0 if step.forward else len(step.taken) - 1
                self.chain.gauges.append(Gauge(here - 1, here, previous.made, out_axis, step.taken, in_axis))
            draft = self.contraction(
                f"{name}.{step.name}",
                name,
                window if step.first == 0 else Window(),
                weight,
                bias=bias if last else None,
                intermediate=not last,
                lead=step.lead,
                trail=step.trail,
            )
            previous = step
        return draft

    def need_flat(self, what: str) -> None:
        if not self.flat and not self.blind:
            raise Unsupported(f"would act on the last axis of a volume; put nn.Flatten() before {what}")

    def norm(self, name: str, layer: nn.BatchNorm1d | nn.BatchNorm3d) -> None:
        if not layer.affine or not layer.track_running_stats:
            raise Unsupported("needs affine=True and track_running_stats=True")
        if self.blind:
            return
        if self.open is None:
            raise Unsupported("does not directly follow a convolution or linear layer; put it right behind one")
        if self.open.batch_norm is not None:
            raise Unsupported("follows another batch norm; leave one out")
        if self.open.relu:
            raise Unsupported("follows a ReLU; put it between the layer and the ReLU")
        self.open.batch_norm = layer

    def relu(self, name: str, layer: nn.Module) -> None:
        if self.nonnegative or self.blind:
            return
        if self.relu_target is None:
            raise Unsupported("follows an average pool or the input; put it before the pool, right behind a layer")
        # Maximum, flatten and permutation commute with ReLU, so it moves back to the contraction's clamp.
        self.relu_target.relu = True
        self.nonnegative = True

    def pool(self, name: str, kind: Literal["max", "average"], window: Window) -> None:
        self.add(PoolDraft(name, name, self.shape, kind, window))
        self.open = None
        if kind == "average":
            self.relu_target = None

    def max_pool(self, name: str, layer: nn.MaxPool3d) -> None:
        if layer.ceil_mode or layer.return_indices or triple(layer.dilation, "dilation") != (1, 1, 1):
            raise Unsupported("needs ceil_mode=False, return_indices=False and dilation=1")
        self.pool(name, "max", _pool_window(layer))

    def average_pool(self, name: str, layer: nn.AvgPool3d) -> None:
        if layer.ceil_mode or layer.divisor_override is not None:
            raise Unsupported("needs ceil_mode=False and no divisor_override")
        window = _pool_window(layer)
        if layer.count_include_pad and any(before for before, _ in window.padding):
            raise Unsupported("counts padding in the mean; use count_include_pad=False")
        self.pool(name, "average", window)

    def pair_pool(self, name: str, layer: PairPool3d) -> None:
        self.pool(name, layer.kind, layer.window(self.shape[:3]))

    def global_pool(self, name: str, layer: nn.AdaptiveAvgPool3d) -> None:
        size = layer.output_size
        if not all(n == 1 for n in (size if isinstance(size, tuple) else (size,))):
            raise Unsupported(f"has output size {size}; use nn.AdaptiveAvgPool3d(1) or nn.AvgPool3d")
        d, h, w, _ = self.shape
        self.pool(name, "average", Window((d, h, w), (d, h, w)))

    def flatten(self, name: str, layer: nn.Flatten) -> None:
        if layer.start_dim != 1 or layer.end_dim != -1:
            raise Unsupported("must flatten all but the batch axis; use nn.Flatten()")
        self.flat = True
        if self.shape[:3] != (1, 1, 1):
            self.open = None

    def drop(self, name: str, layer: nn.Module) -> None:
        """Dropout and identity leave no stage."""


def _pool_window(layer: nn.MaxPool3d | nn.AvgPool3d) -> Window:
    kernel = triple(layer.kernel_size, "kernel_size")
    stride = triple(layer.stride, "stride")
    return Window(kernel, stride, same_padding(kernel, stride, layer.padding))


_ANY = "a network is a chain of Conv3d, TTConv3d, QTTConv3d, Linear, TTLinear, batch norm, ReLU and pools"

_HANDLERS: dict[type[nn.Module], Callable[[Lowering, str, Any], None]] = {
    nn.Conv3d: Lowering.conv,
    TTConv3d: Lowering.tt_conv,
    QTTConv3d: Lowering.qtt_conv,
    nn.Linear: Lowering.linear,
    TTLinear: Lowering.tt_linear,
    nn.BatchNorm3d: Lowering.norm,
    nn.BatchNorm1d: Lowering.norm,
    nn.ReLU: Lowering.relu,
    nn.MaxPool3d: Lowering.max_pool,
    nn.AvgPool3d: Lowering.average_pool,
    PairMaxPool3d: Lowering.pair_pool,
    PairAvgPool3d: Lowering.pair_pool,
    nn.AdaptiveAvgPool3d: Lowering.global_pool,
    nn.Flatten: Lowering.flatten,
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Identity), Lowering.drop),
}

_WEIGHTED = (nn.Conv3d, TTConv3d, QTTConv3d, nn.Linear, TTLinear, nn.BatchNorm3d, nn.BatchNorm1d)
#: Modules that tracing does not enter.
LEAVES = (TTConv3d, QTTConv3d, TTLinear, PairMaxPool3d, PairAvgPool3d)
