"""What each layer's quantisation does to the logits: alone, missing, of its weights or its output, at other bits."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qtt_hw.codebook import MAX_CODE_BITS
from qtt_hw.data import Samples
from qtt_hw.graph import INPUT, InputSpec
from qtt_hw.lower.execute import formats
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.mixed import Flow, Layer, Part, at_bits, in_float, layers_of, run, settle, with_version
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.progress import Progress, silent
from qtt_hw.quant import QuantConfig, weight_quantizer
from qtt_hw.training.batches import to_tensor
from qtt_hw.training.scores import decibels

__all__ = ["WIDTHS", "LayerLogits", "Logits", "at_widths", "measure", "own_bits", "stored_bits", "widths_of"]

#: Bits of weights that are tried, besides a layer's own.
WIDTHS = (2, 3, 4, 6, 8)
#: Values that all stages put out together, of the samples that are taken together.
LIVE_VALUES = 1 << 26
#: Values of the largest stage's output, of the samples that statistics are taken from.
HELD_VALUES = 1 << 28
MOST_TOGETHER = 64


@dataclass(eq=False)
class LayerLogits:
    """Logits [N, classes], float32, of the network with one layer in another state than all others.

    Attributes
    ----------
    alone, weights, activations
        With this layer quantised, or its weights alone, or its outputs alone, and all others in float.
    without
        With all layers quantised but this one.
    bits
        By number of bits: its weights alone quantised to them, all else in float.
    snr
        Signal to noise of the layer's output where it alone is quantised, in dB; None where nothing is lost.
    """

    layer: Layer
    stages: list[str]
    weights_count: int
    own_bits: int | None
    alone: Tensor
    without: Tensor
    activations: Tensor
    weights: Tensor | None = None
    bits: dict[int, Tensor] = field(default_factory=dict)
    snr: float | None = None


@dataclass(eq=False)
class Logits:
    """Of the network in float, and quantised as training computes it."""

    in_float: Tensor
    quantized: Tensor
    layers: list[LayerLogits]


def widths_of(config: QuantConfig) -> tuple[int, ...]:
    """The numbers of bits that a layer's weights can be tried at."""
    most = MAX_CODE_BITS if config.codebook in ("dqc", "sqc", "inq") else max(WIDTHS)
    return tuple(bits for bits in WIDTHS if bits <= most)


def own_bits(stages: Sequence[ContractionStage]) -> int | None:
    """Bits of a layer's weights; None where it has none."""
    return stages[0].weight_quantizer.bits if stages else None


def stored_bits(prepared: PreparedModel, layer: Layer, widths: Iterable[int]) -> dict[int, int]:
    """What a layer with weights stores in the integer model, requantisers included, in bits by the bits of its weights.

    Those that it cannot be frozen with are left out.
    """
    stages = prepared.stage_list
    by_name = formats(stages, prepared.input.format)
    config, weighted = prepared.config.for_layer(layer.name), layer.weighted(stages)
    found = {}
    for bits in widths:
        same = bits == own_bits(weighted)
        with suppress(ValueError):
            made = [stage if same else at_bits(stage, config, bits) for stage in weighted]
            nodes = [stage.node(*(by_name[name] for name in stage.inputs)) for stage in made]
            found[bits] = sum(node.stored_bits for node in nodes)
    return found


def at_widths(prepared: PreparedModel, widths: Mapping[str, int], batches: Sequence[Tensor]) -> PreparedModel:
    """The prepared model with other bits of some layers' weights, whose scales are set, and all statistics anew.

    Parameters
    ----------
    prepared : PreparedModel
        Calibrated; left as it is.
    widths : mapping of str to int
        Bits by layer.
    batches : sequence of inputs
        For the statistics.
    """
    made = copy.deepcopy(prepared)
    for layer in layers_of(made.stage_list):
        config, stages = made.config.for_layer(layer.name), layer.weighted(made.stage_list)
        bits = widths.get(layer.name)
        if bits is None or bits == own_bits(stages):
            continue
        for stage in stages:
            stage.replace_quantizers(lambda shape, how=config, bits=bits: weight_quantizer(how, bits, shape))  # type: ignore[misc]
            stage.calibrate_weight()
    made.freeze_scales()
    made.freeze_statistics(batches)
    return made.eval()


def measure(
    prepared: PreparedModel, samples: Samples, spec: InputSpec, batches: Sequence[Tensor], progress: Progress = silent
) -> Logits:
    """Logits of samples with each layer's quantisation on and off.

    A layer runs in float, or as training through the quantisation computes it: rounded in float32, batch norm not
    folded. The statistics of batch norms that a layer's state moves are set from the same inputs in each of its states.
    Results before the layer are computed once for all its states.

    Parameters
    ----------
    prepared : PreparedModel
        Calibrated, in eval mode; left as it is.
    samples : Samples
    spec : InputSpec
    batches : sequence of float tensor, [N, C, D, H, W]
        Of training data, for the statistics.
    progress : Progress
    """
    stages = copy.deepcopy(prepared).eval().stage_list
    layers = layers_of(stages)
    quantized = [Part(stage, True) for stage in stages]
    floats = [Part(in_float(stage), False) for stage in stages]
    states, missing = {}, {}
    for layer in layers:
        indices, config = layer.stages, prepared.config.for_layer(layer.name)
        missing[layer.name] = [Part(in_float(stages[i]), False) for i in indices]
        states[layer.name] = {
            "alone": [Part(copy.deepcopy(stages[i]), True) for i in indices],
            "activations": [Part(in_float(stages[i]), True) for i in indices],
        }
        own = own_bits(layer.weighted(stages))
        for bits in sorted({*widths_of(config), own}) if own is not None else ():
            made = (copy.deepcopy(stages[i]) if bits == own else at_bits(stages[i], config, bits) for i in indices)
            states[layer.name][str(bits)] = [Part(stage, False) for stage in made]
    largest = max(math.prod(stage.out_shape) for stage in stages)
    taken = max(1, HELD_VALUES // (largest * max(len(batch) for batch in batches)))
    inputs = [_input(batch, prepared) for batch in batches[:taken]]
    versions = {name: list(of_layer.values()) for name, of_layer in states.items()}
    settle(floats, layers, versions, inputs, own=True, progress=progress)
    settle(quantized, layers, {name: [parts] for name, parts in missing.items()}, inputs, own=False)
    del inputs

    last = stages[-1].name
    found: dict[tuple[str, str], list[Tensor]] = {}
    energy: dict[str, list[float]] = {layer.name: [0.0, 0.0] for layer in layers}
    together = max(1, min(MOST_TOGETHER, LIVE_VALUES // sum(math.prod(stage.out_shape) for stage in stages)))
    starts = range(0, len(samples), together)
    for count, start in enumerate(starts):
        x = _input(to_tensor(spec, samples.x[start : start + together], prepared.phase.device), prepared)
        base = {"float": {INPUT: x} | run(floats, {INPUT: x}), "quantized": {INPUT: x} | run(quantized, {INPUT: x})}
        for name, flows in base.items():
            found.setdefault(("", name), []).append(flows[last].values.flatten(1))
        for index, layer in enumerate(layers):
            end = stages[layer.stages[-1]].name
            for state, version in {**states[layer.name], "without": missing[layer.name]}.items():
                around, name = (quantized, "quantized") if state == "without" else (floats, "float")
                flows = run(with_version(around, layer, version), base[name], layer.stages.start)
                found.setdefault((layer.name, state), []).append(flows[last].values.flatten(1))
                if state == "alone":
                    signal, noise = base["float"][end].values, flows[end].values
                    energy[layer.name][0] += float(signal.double().square().sum())
                    energy[layer.name][1] += float((noise - signal).double().square().sum())
            progress("layers", count * len(layers) + index + 1, len(starts) * len(layers))
    logits = {key: torch.cat(parts).float() for key, parts in found.items()}
    results = []
    for layer in layers:
        weighted = layer.weighted(stages)
        own = own_bits(weighted)
        of_bits = {int(state): logits[layer.name, state] for state in states[layer.name] if state.isdecimal()}
        signal_energy, noise_energy = energy[layer.name]
        results.append(
            LayerLogits(
                layer,
                [stages[index].name for index in layer.stages],
                sum(stage.weight_size for stage in weighted),
                own,
                alone=logits[layer.name, "alone"],
                without=logits[layer.name, "without"],
                activations=logits[layer.name, "activations"],
                weights=None if own is None else of_bits[own],
                bits=of_bits,
                snr=decibels(signal_energy, noise_energy),
            )
        )
    return Logits(logits["", "float"], logits["", "quantized"], results)


def _input(x: Tensor, prepared: PreparedModel) -> Flow:
    return Flow(x.contiguous(memory_format=torch.channels_last_3d), prepared.input.format)
