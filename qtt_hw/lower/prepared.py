"""PreparedModel: a network of quantised stages, trained with fake quantisation and evaluated in integers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from qtt_hw.errors import CalibrationWarning, named
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge
from qtt_hw.lower.calibrate import balance, calibrate_stages
from qtt_hw.lower.draft import Gauge
from qtt_hw.lower.execute import execute, formats
from qtt_hw.lower.integer import exact_arithmetic, full_precision, input_integers
from qtt_hw.lower.kinds.add import AddStage
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.stage import Stage, Stream
from qtt_hw.nn.planar import as_volumes
from qtt_hw.quant import BatchNorm, PowerOfTwoQuantizer, QuantConfig
from qtt_hw.quant.incremental import IncrementalQuantizer
from qtt_hw.quant.powers_of_two import DynamicCodebook

__all__ = ["PreparedModel"]

#: Samples taken through the integer network together: what a cache holds of their activations.
CHUNK = 32
#: Values of the largest stage's output that are held at a time; fewer samples go together where they are more.
STREAM_VALUES = 1 << 26

#: Fewer samples than these give scales, and statistics of batch norm, that cost accuracy.
FEW_SAMPLES = 64


class PreparedModel(nn.Module):
    """Logits [N, classes] of float [N, C, D, H, W]: fake quantisation in training, integer arithmetic in evaluation.

    `prepare` makes it. Its stages are named as the nodes of the Graph that `freeze` makes of it. Inputs of depth 1 may
    be given as [N, C, H, W], those of one position as [N, C]; inputs and logits are integers * 2**-frac.

    Phases, in this order: `calibrate`; training with learned scales and batch statistics; `freeze_scales`;
    `freeze_statistics`, after which training's forward values are evaluation's, to the bit. They are part of the state.
    With float activations only weights are quantised, evaluation is in float too, and the last phase does not exist.

    Parameters
    ----------
    stages : sequence of Stage
        In topological order, the network's output last.
    gauges : sequence of Gauge
        Pairs of neighbouring stages of one tensor train, between which a factor can be moved to balance their weights.
    config : QuantConfig
    edge : Edge
        Input shape (D, H, W, C) and format.

    Raises
    ------
    ValueError
        When a phase is out of order, in its method; on input before `calibrate`, or of another shape.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> import qtt_hw
    >>> x = (torch.rand(64, 1, 4, 4, 4) < 0.5).float()
    >>> net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    >>> prepared = qtt_hw.prepare(net, x[:1])
    >>> prepared.freeze_scales()
    Traceback (most recent call last):
        ...
    ValueError: the prepared model has no scales yet; call calibrate on some inputs first
    >>> prepared.calibrate([x])  # then it is trained as any module is
    >>> prepared.freeze_scales()
    >>> prepared.freeze_statistics([x])
    >>> bool((prepared.train()(x) == prepared.eval()(x)).all())
    True
    >>> {name: integers.dtype for name, integers in prepared.forward_all(x).items()}
    {'0': torch.int64, '4': torch.int64}
    """

    phase: Tensor

    def __init__(self, stages: Sequence[Stage], gauges: Sequence[Gauge], config: QuantConfig, edge: Edge) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.gauges, self.config, self.input = tuple(gauges), config, edge
        # (calibrated, scales frozen, statistics frozen)
        self.register_buffer("phase", torch.zeros(3, dtype=torch.int64))
        if self.floating:
            for name, parameter in self.named_parameters():
                if name.endswith("output_quantizer.log2_scale"):
                    parameter.requires_grad_(False)

    @property
    def floating(self) -> bool:
        """Whether activations and batch norm are left in float."""
        return self.config.activations == "float"

    # Phases

    @property
    def calibrated(self) -> bool:
        return bool(self.phase[0])

    @property
    def scales_frozen(self) -> bool:
        return bool(self.phase[1])

    @property
    def statistics_frozen(self) -> bool:
        return bool(self.phase[2])

    def calibrate(self, batches: Iterable[Any], *, estimate_statistics: bool = False) -> None:
        """Set every scale from inputs [N, C, D, H, W] (or pairs whose first member they are).

        Neighbouring cores of each tensor train are balanced first; then, stage by stage, the weights' scale and the
        output's are set on inputs as the integer stages before produce them. Batch norms keep the statistics that they
        were trained with; those that have none, mean 0 and variance 1 in every channel, are given the inputs'.

        Parameters
        ----------
        batches : iterable of inputs
            Some hundred samples like those of training.
        estimate_statistics : bool
            Replace all statistics by those of these inputs: where training goes on, or on a set large enough.

        Warns
        -----
        CalibrationWarning
            When scales or statistics are taken from few samples, or all weights of a layer round to 0.
        """
        if self.scales_frozen or self.statistics_frozen:
            raise ValueError("calibrate comes before freeze_scales and freeze_statistics")
        given = self._batches(batches)
        self._warn_of_few(given, "calibrate", estimate_statistics, scales=True)
        balance(self.stage_list, self.gauges)
        if self.floating:
            for stage in self.contractions:
                stage.calibrate_weight()
            self.phase[0] = 1
            self._estimate_statistics(given, estimate_statistics)
        else:
            with torch.no_grad(), exact_arithmetic(self.phase.device):
                calibrate_stages(self.stage_list, self.input, given, scales=True, statistics=estimate_statistics)
            self.phase[0] = 1
        for stage in self.contractions:
            stage.warn_of_zeros()

    @property
    def _norms(self) -> list[BatchNorm]:
        return [module for module in self.modules() if isinstance(module, BatchNorm)]

    def _warn_of_few(self, batches: Sequence[Tensor], what: str, every: bool, scales: bool) -> None:
        samples = sum(len(batch) for batch in batches)
        taken = []
        if scales and not self.floating:
            taken.append("scales")
        if any(every or not norm.has_statistics for norm in self._norms):
            taken.append("batch norm's statistics")
        if samples < FEW_SAMPLES and taken:
            warnings.warn(
                f"{what}: {' and '.join(taken)} are taken from {samples} samples; give {FEW_SAMPLES} or more",
                CalibrationWarning,
                stacklevel=3,
            )

    @torch.no_grad()
    def _estimate_statistics(self, batches: Sequence[Tensor], every: bool) -> None:
        """Set running statistics, of every batch norm or of those without, to averages over the batches, in float."""
        norms = [norm for norm in self._norms if every or not norm.has_statistics]
        if not norms:
            return
        momenta, training = [norm.momentum for norm in norms], self.training
        self.train()
        for norm in self._norms:
            norm.train(norm in norms)
        for index, x in enumerate(batches):
            for norm in norms:
                norm.momentum = 1 / (index + 1)
            self(x)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self.train(training)

    def freeze_scales(self) -> None:
        """Fix every scale as an integer constant, and quantise the weights that training still had in float."""
        self._need_calibration()
        self.quantize_portion(1.0)
        for stage in self.stage_list:
            with named(stage.name):
                for module in stage.modules():
                    if isinstance(module, PowerOfTwoQuantizer):
                        module.freeze()
        self.phase[1] = 1

    def quantize_portion(self, portion: float) -> None:
        """Fix the largest weights of every stage, until a portion of all; where weights are quantised in portions."""
        self._need_calibration()
        for stage in self.contractions:
            if isinstance(stage.weight_quantizer, IncrementalQuantizer):
                stage.weight_quantizer.take(stage.weight, portion)

    def freeze_statistics(self, batches: Iterable[Any] | None = None) -> None:
        """Fix the batch statistics, from then on training goes through the folded integers.

        Parameters
        ----------
        batches : iterable of inputs, optional
            Replace the statistics by theirs first, stage by stage, each on what the integer stages before produce: as
            many as can be had of the training set. Without them the statistics stay as training left them.

        Warns
        -----
        CalibrationWarning
            When statistics are taken from few samples.
        """
        self._need_calibration()
        self._refuse_floats()
        if any(stage.weight_quantizer.partial for stage in self.contractions):
            raise ValueError("freeze_scales, which quantises the weights left, comes before freeze_statistics")
        if batches is not None:
            given = self._batches(batches)
            self._warn_of_few(given, "freeze_statistics", every=True, scales=False)
            with torch.no_grad(), exact_arithmetic(self.phase.device):
                calibrate_stages(self.stage_list, self.input, given, scales=False, statistics=True)
        for stage in self.stage_list:
            if isinstance(stage, ContractionStage) and stage.batch_norm is not None:
                stage.batch_norm.report(stage.name)
        self.phase[2] = 1

    def _need_calibration(self) -> None:
        if not self.calibrated:
            raise ValueError("the prepared model has no scales yet; call calibrate on some inputs first")

    def _refuse_floats(self) -> None:
        if self.floating:
            raise ValueError('activations = "float" leaves no integers; use activations = "quantized"')

    # Parts

    @property
    def stage_list(self) -> list[Stage]:
        return [stage for stage in self.stages if isinstance(stage, Stage)]

    @property
    def contractions(self) -> list[ContractionStage]:
        return [stage for stage in self.stages if isinstance(stage, ContractionStage)]

    @property
    def _chunk(self) -> int:
        largest = max(math.prod(stage.out_shape) for stage in self.stage_list)
        return max(1, min(CHUNK, STREAM_VALUES // largest))

    def clip_rates(self) -> dict[str, float]:
        """By contraction and sum: the share of outputs beyond the format when last trained or calibrated on."""
        rounding = [stage for stage in self.stage_list if isinstance(stage, ContractionStage | AddStage)]
        return {stage.name: stage.output_quantizer.clip_rate for stage in rounding}

    @property
    def code_bits(self) -> int:
        """Of all weights as they would be stored: integers or codes, with the tables of centroids that codes index."""
        return sum(stage.weight_quantizer.stored_bits(stage.weight_size) for stage in self.contractions)

    def crossings(self) -> dict[str, int]:
        """By contraction with powers of two: how often its largest weight crossed one in training."""
        found = ((stage.name, stage.weight_quantizer) for stage in self.contractions)
        return {name: each.crossings for name, each in found if isinstance(each, DynamicCodebook)}

    def parameter_groups(self, lr: float, weight_decay: float, scale_lr: float) -> list[dict[str, Any]]:
        """Optimiser groups: weights with decay; batch norm and biases, and scales at their own rate, without."""
        groups: dict[str, list[nn.Parameter]] = {"weights": [], "affine": [], "scales": []}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:  # a fixed scale
                continue
            kind = name.rpartition(".")[2]
            if kind == "log2_scale":
                groups["scales"].append(parameter)
            elif (kind == "weight" and ".batch_norm." not in name) or ".cores." in name:
                groups["weights"].append(parameter)
            else:
                groups["affine"].append(parameter)
        return [
            {"params": groups["weights"], "lr": lr, "weight_decay": weight_decay, "name": "weights"},
            {"params": groups["affine"], "lr": lr, "weight_decay": 0.0, "name": "affine"},
            {"params": groups["scales"], "lr": scale_lr, "weight_decay": 0.0, "name": "scales"},
        ]

    # Running

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes] of inputs [N, C, D, H, W], integers * 2**-frac on both ends."""
        self._need_calibration()
        x = self._checked(x)
        if self.floating:
            return self._floats(x)
        if not self.training:
            with torch.no_grad(), exact_arithmetic(x.device):
                name = self.stage_list[-1].name
                parts = [self._integers(part, keep={name})[name] for part in x.split(self._chunk)]
            return torch.cat(parts).flatten(1).mul_(2.0**-self.output_format.frac)
        exact = self.statistics_frozen

        def act(stage: Stage, streams: list[Stream]) -> Stream:
            return stage.values(*streams, exact=exact), stage.out_format(*(fmt for _, fmt in streams))

        with exact_arithmetic(x.device) if exact else full_precision(x.device):
            x = x.to(next(self.parameters()).dtype).contiguous(memory_format=torch.channels_last_3d)
            for _, stream in execute(self.stage_list, (x, self.input.format), act):
                x = stream[0]
        return x.flatten(1)

    def _floats(self, x: Tensor) -> Tensor:
        """Logits with quantised weights and float activations; in training under the autocast of the caller."""
        with nullcontext() if self.training else full_precision(x.device):
            x = x.to(next(self.parameters()).dtype).contiguous(memory_format=torch.channels_last_3d)
            for _, y in execute(self.stage_list, x, lambda stage, inputs: stage.floats(*inputs)):
                x = y
        return x.flatten(1)

    @torch.no_grad()
    def forward_all(self, x: Tensor) -> dict[str, Tensor]:
        """Every stage's output integers by name, int64 [N, C, D, H, W], as evaluation computes them."""
        self._need_calibration()
        self._refuse_floats()
        x = self._checked(x)
        names = [stage.name for stage in self.stage_list]
        with exact_arithmetic(x.device):
            parts = [self._integers(part, keep=set(names)) for part in x.split(self._chunk)]
        return {name: torch.cat([part[name] for part in parts]).to(torch.int64) for name in names}

    @property
    def output_format(self) -> Format:
        """Format of the logits."""
        return formats(self.stage_list, self.input.format)[self.stage_list[-1].name]

    def _checked(self, x: Tensor) -> Tensor:
        """The inputs with a depth axis; raises ValueError where the shape is not the model's."""
        d, h, w, c = self.input.shape
        if not isinstance(x, Tensor):
            raise ValueError(f"inputs are tensors [N, {c}, {d}, {h}, {w}], got a {type(x).__name__}")
        x = as_volumes(x)
        if x.ndim != 5 or tuple(x.shape[1:]) != (c, d, h, w):
            raise ValueError(f"input of shape {list(x.shape)} given, the model takes [N, {c}, {d}, {h}, {w}]")
        return x

    def _batches(self, batches: Iterable[Any]) -> list[Tensor]:
        """The inputs of batches that may carry labels."""
        if not isinstance(batches, Iterable):
            raise ValueError(f"batches of inputs are needed, as a list or a DataLoader, got a {type(batches).__name__}")
        found = [self._checked(batch[0] if isinstance(batch, tuple | list) and batch else batch) for batch in batches]
        if not found:
            raise ValueError("at least one batch of inputs is needed")
        return found

    def _integers(self, x: Tensor, keep: set[str]) -> dict[str, Tensor]:
        """The kept stages' output integers, float32 [N, C, D, H, W]."""

        def act(stage: Stage, streams: list[Stream]) -> Stream:
            return stage.integers(*streams), stage.out_format(*(fmt for _, fmt in streams))

        source = (input_integers(x, self.input.format), self.input.format)
        found = execute(self.stage_list, source, act)
        return {stage.name: integers for stage, (integers, _) in found if stage.name in keep}
