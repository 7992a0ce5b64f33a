"""Which layer's quantisation costs a trained network what, and a proposal of bits by layer; on validation samples."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from qtt_hw.data import Samples, Splits
from qtt_hw.errors import named
from qtt_hw.evaluation import samples_of
from qtt_hw.files import write_file
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.options import INSPECTED
from qtt_hw.progress import Progress, silent
from qtt_hw.quant.config import LayerBits
from qtt_hw.training.config import Config
from qtt_hw.training.environment import reproducible
from qtt_hw.training.proposal import Proposal, Proposals
from qtt_hw.training.quantized import STATISTICS_EPOCH
from qtt_hw.training.result import versions
from qtt_hw.training.run import described_run, quantized_run
from qtt_hw.training.scores import Change, Level, Scores
from qtt_hw.training.sensitivity import LayerLogits, measure
from qtt_hw.training.written import files_of, layers_text, toml_text

__all__ = ["InspectResult", "LayerResult", "inspect", "is_inspection", "is_proposal"]

#: What a configuration that was written here begins with.
HEAD = "# Bits by layer, by: "


class LayerResult(BaseModel):
    """What one layer's quantisation costs.

    Attributes
    ----------
    stages : list of str
        That the layer became.
    weights : int
        Counted; 0 of a layer without.
    weight_bits : int, optional
        As the network has them.
    weight_bytes : float
        Of the weights alone.
    alone, weights_alone, activations_alone : Change
        With this layer quantised, or only its weights or outputs, all others in float; against all in float.
    without : Change
        With all layers quantised but this one; against all quantised.
    snr : float, optional
        Signal to noise of the layer's output where it alone is quantised, in dB.
    bits : mapping of int to Change
        By number of bits: its weights alone quantised to them, calibrated and not trained; against all in float.
    """

    model_config = ConfigDict(frozen=True)

    layer: str
    stages: list[str]
    weights: int
    weight_bits: int | None
    weight_bytes: float
    alone: Change
    weights_alone: Change | None
    activations_alone: Change
    without: Change
    snr: float | None
    bits: dict[int, Change]


class InspectResult(BaseModel):
    """What `qtt inspect` prints; `layers` from the one that costs most.

    Attributes
    ----------
    phase : str
        "quantized": the weights, scales and statistics as they were trained through the quantisation. "float": those of
        the float phase, calibrated.
    in_float, quantized : Level
        All layers in float, and the integer model.
    as_trained : Change
        Quantised as training computes it, against the integer model: what the layers' rows compare with.
    tried : list of Proposal
        Every choice of bits that was evaluated as a whole.
    proposal : Proposal, optional
        The best within the byte budget; without one the smallest without loss, if there is one below the own bits.
    toml : str, optional
        The proposal as a part of a configuration.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    name: str
    phase: str
    data: str
    samples: int
    validation_samples: int
    weight_bytes: int
    byte_budget: int | None
    in_float: Level
    quantized: Level
    as_trained: Change
    layers: list[LayerResult]
    tried: list[Proposal]
    proposal: Proposal | None
    toml: str | None
    seconds: float
    command: str
    versions: dict[str, str]


def is_inspection(path: Path) -> bool:
    """Whether a file says of itself what an inspection does."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"run", "in_float", "quantized", "layers", "tried"} <= set(found)


def is_proposal(path: Path) -> bool:
    """Whether a file begins as a configuration does that was written here."""
    with path.open("rb") as stream:
        return stream.read(len(HEAD)) == HEAD.encode()


def inspect(
    run: str | Path,
    data: Splits | str | Path,
    *,
    byte_budget: int | None = None,
    samples: int = INSPECTED,
    phase: Literal["quantized", "float"] | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    progress: Progress = silent,
) -> InspectResult:
    """Which layer costs the accuracy: each alone quantised, and all but it; and bits by layer of the weights.

    A layer is one of the network that was trained, whatever stages it became. Rises of the loss are measured for each
    layer's weights at 2, 3, 4, 6 and 8 bits with all else in float. A dynamic programme over the layers gives, exactly,
    the choices of least sum for every size; the one that is proposed is evaluated as a whole, as integers, without
    training. Bits of activations stay.

    Parameters
    ----------
    run : path
        Folder that `train` wrote.
    data : Splits or a source that `qtt_hw.data.load` knows
        What it was trained on: batch norm's statistics are taken from training samples, all else from validation
        samples; test samples are not touched.
    byte_budget : int, optional
        Of all that is stored, as `weight_bytes` counts. Without it the smallest choice is looked for that
        loses nothing against the network as it is: no accuracy, and no more than a standard error of the loss.
    samples : int
        Validation samples at most, at even strides.
    phase : "quantized" or "float", optional
        What is inspected: the model that was trained through the quantisation, or the float one, calibrated as it is.
        The former where the run has a [quant] section.
    output : path, optional
        The result as JSON.
    config : path, optional
        The run's configuration with the proposed bits, for `train`; not written where nothing is proposed.
    progress : Progress

    Returns
    -------
    InspectResult
        `in_float` and `quantized`, all layers, then `layers`, from the one that costs most, and the `proposal`.

    Raises
    ------
    ValueError
        One line: the folder holds no such run, the data does not fit, or nothing fits the byte budget.

    Examples
    --------
    >>> from pathlib import Path
    >>> import qtt_hw
    >>> configuration = '''
    ... [model]
    ... name = "voxtt"
    ... args = { widths = [4, 4], strides = [2, 2], dense = true }
    ... [data]
    ... options = { edge = 8, classes = 2, per_class = 60 }
    ... [train]
    ... epochs = 1
    ... threads = 1
    ... [quant]
    ... epochs = 1
    ... '''
    >>> _ = Path("small.toml").write_text(configuration)
    >>> _ = qtt_hw.train("small.toml", "solids", "run")
    >>> found = qtt_hw.inspect("run", "solids", byte_budget=300, config="bits.toml")
    >>> sorted(layer.layer for layer in found.layers)
    ['features.block1.conv', 'features.block2.conv', 'head.1']
    >>> found.weight_bytes, found.proposal.weight_bytes <= 300
    (365, True)
    >>> _ = qtt_hw.train("bits.toml", "solids", "smaller", start="run")
    >>> qtt_hw.freeze_run("smaller", "smaller.qtt").weight_bytes == found.proposal.weight_bytes
    True
    >>> qtt_hw.inspect("run", "solids", byte_budget=16)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: run: no bits by layer store 16 bytes or fewer; the least that can be are ...
    """
    started = time.perf_counter()
    if samples < 1:
        raise ValueError(f"samples must be above 0, got {samples}")
    own = described_run(run)
    if config is not None:
        _check_place(own, Path(config))
    if not isinstance(data, Splits):
        progress("data", text=str(data))
        data = own.data.load(data)
    with reproducible(own.train.threads or torch.get_num_threads()), torch.no_grad():
        result, proposed = _inspected(str(run), data, byte_budget, samples, phase, progress)
    options = {"--bytes": byte_budget, "--samples": None if samples == INSPECTED else samples, "--phase": phase}
    more = [word for option, value in options.items() if value is not None for word in (option, str(value))]
    command = shlex.join(["qtt", "inspect", str(run), "--data", data.name, *more])
    seconds = round(time.perf_counter() - started, 1)
    result = result.model_copy(update={"command": command, "seconds": seconds})
    if output is not None:
        write_file(Path(output), result.model_dump_json(indent=1) + "\n")
    if config is not None and result.proposal is not None:
        write_file(Path(config), f"{HEAD}{command}\n" + toml_text(proposed))
    return result


def _check_place(own: Config, path: Path) -> None:
    """Raise ValueError where files that the configuration names would not be found from another one."""
    files = files_of(own)
    if files and path.absolute().parent.resolve() != own.folder.resolve():
        raise ValueError(f"{path}: names {files[0]} relative to its folder; write the configuration into {own.folder}")


def _inspected(
    run: str,
    data: Splits,
    byte_budget: int | None,
    samples: int,
    phase: Literal["quantized", "float"] | None,
    progress: Progress,
) -> tuple[InspectResult, Config]:
    """The result, and the run's configuration with the proposed bits, if there are any."""
    progress("model")
    found = quantized_run(run, data, phase)
    prepared, config, spec, quant = found.prepared, found.config, found.spec, found.quant
    if prepared.floating:
        raise ValueError(f'{run}: activations = "float" leaves no integers to inspect')
    graph = freeze(prepared, spec, found.labels, config.name)
    data = samples_of(graph, data, "validation")
    count = len(data.validation)
    chosen = [i * count // min(samples, count) for i in range(min(samples, count))]
    validation = Samples(data.validation.x[chosen], data.validation.y[chosen])
    scores = Scores(validation)
    statistics = found.batches.some(quant.reestimate, STATISTICS_EPOCH)
    logits = measure(prepared, validation, spec, statistics, progress)
    rows = [_row(layer, scores, logits.in_float, logits.quantized, prepared) for layer in logits.layers]
    rises = {row.layer: {bits: change.loss for bits, change in row.bits.items()} for row in rows if row.bits}
    with named(run):
        proposals = Proposals(prepared, rises, scores, spec, statistics, progress)
        proposal = proposals.lossless() if byte_budget is None else proposals.within(byte_budget)
    toml = None
    if proposal is not None:
        layers = dict(quant.layers)
        for name, bits in proposal.bits.items():
            layers[name] = layers.get(name, LayerBits()).model_copy(update={"weight_bits": bits})
        config = config.model_copy(update={"quant": quant.model_copy(update={"layers": layers})})
        toml = layers_text(layers)
    result = InspectResult(
        run=run,
        name=config.name,
        phase=found.phase,
        data=data.name,
        samples=len(validation),
        validation_samples=count,
        weight_bytes=graph.weight_bytes,
        byte_budget=byte_budget,
        in_float=scores.level(logits.in_float),
        quantized=scores.level(proposals.exact),
        as_trained=scores.change(logits.quantized, proposals.exact),
        layers=sorted(rows, key=lambda row: -row.alone.loss),
        tried=proposals.tried,
        proposal=proposal,
        toml=toml,
        seconds=0.0,
        command="",
        versions=versions(),
    )
    return result, config


def _row(
    found: LayerLogits, scores: Scores, in_float: Tensor, quantized: Tensor, prepared: PreparedModel
) -> LayerResult:
    weighted = found.layer.weighted(prepared.stage_list)
    return LayerResult(
        layer=found.layer.name,
        stages=found.stages,
        weights=found.weights_count,
        weight_bits=found.own_bits,
        weight_bytes=sum(stage.weight_size * stage.weight_format().bits for stage in weighted) / 8,
        alone=scores.change(found.alone, in_float),
        weights_alone=None if found.weights is None else scores.change(found.weights, in_float),
        activations_alone=scores.change(found.activations, in_float),
        without=scores.change(found.without, quantized),
        snr=found.snr,
        bits={bits: scores.change(logits, in_float) for bits, logits in sorted(found.bits.items())},
    )
