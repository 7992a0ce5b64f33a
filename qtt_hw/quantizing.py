"""From a trained float network to an integer model: calibrated as it is, or trained on through the quantisation."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from qtt_hw.data import Splits
from qtt_hw.freezing import freeze_run
from qtt_hw.options import ACCELERATOR, QUANTIZED_BITS, QUANTIZED_EPOCHS, QUANTIZED_SCALES, WeightScales
from qtt_hw.progress import Progress, silent
from qtt_hw.training import train
from qtt_hw.training.config import Config, configuration

__all__ = ["QuantizeResult", "quantization", "quantize", "quantized"]


class QuantizeResult(BaseModel):
    """The model file that was written, and what was lost on the way; accuracies are of the validation samples.

    Attributes
    ----------
    float_accuracy, accuracy : float
        Of the network as it came, and of the integer model.
    drop : float
        Points between them.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    name: str
    digest: str
    weights: str | None
    float_accuracy: float
    accuracy: float
    drop: float
    validation_samples: int
    epochs: int
    weight_bits: int
    activation_bits: int
    weight_scales: str
    weight_bytes: int
    stages: int
    macs: int


def quantization(
    source: str | Path | Config,
    weights: str | Path | None = None,
    *,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    weight_scales: WeightScales | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    epochs: int = QUANTIZED_EPOCHS,
    lr: float | None = None,
    seed: int | None = None,
) -> Config:
    """The configuration that quantises a trained network; arguments are those of `quantize`."""
    config = source if isinstance(source, Config) else configuration(source)
    if weights is None and config.model.weights is None:
        raise ValueError(f"{config.name}: no weights are given, so there is nothing to quantise")
    if lr is not None and not epochs:
        raise ValueError(f"lr {lr:g}: is of training on, which has no epochs; give some, or leave lr out")
    quant: dict[str, Any] = {"epochs": epochs}
    if config.quant is None or not isinstance(source, Config) and not str(source).endswith(".toml"):
        quant |= {"weight_bits": QUANTIZED_BITS, "weight_scales": QUANTIZED_SCALES}
    given = {
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "intermediate_bits": activation_bits,
        "weight_scales": weight_scales,
        "lr": lr,
    }
    quant |= {name: value for name, value in given.items() if value is not None}
    model: dict[str, Any] = {}
    if weights is not None:
        model["weights"] = os.path.relpath(weights, config.folder)
    if mean or std:
        model |= {"mean": list(mean), "std": list(std)}
    changes = {"train": {"epochs": 0}, "quant": quant, "model": model}
    changed = config.changed(config.name, changes, without=["teacher", "compress", "tune"])
    return changed if seed is None else changed.with_seed(seed)


def quantize(
    source: str | Path | Config,
    data: Splits | str | Path,
    output: str | Path,
    *,
    weights: str | Path | None = None,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    weight_scales: WeightScales | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    epochs: int = QUANTIZED_EPOCHS,
    lr: float | None = None,
    seed: int | None = None,
    run: str | Path | None = None,
    accelerator: str = ACCELERATOR,
    progress: Progress = silent,
) -> QuantizeResult:
    """Write the integer model of a float network that was trained elsewhere.

    Scales, and batch norm's statistics anew, are set on some batches of training samples; with `epochs` the network is
    then trained on through the quantisation.

    Parameters
    ----------
    source : path, name or Config
        `file.py:Net`, a zoo network, or a configuration, whose [quant] section holds where nothing else is given.
    data : Splits or a source that `qtt_hw.data.load` knows
        Training and validation samples are used; test samples are not touched.
    output : path
        The model file.
    weights : path, optional
        A .safetensors file, or one that torch.save wrote of a state_dict; the configuration's unless given.
    weight_bits, activation_bits : int, optional
        8 and 8 unless the configuration or these say otherwise.
    weight_scales : "tensor" or "channel", optional
        As in QuantConfig; by channel unless the configuration or this says otherwise.
    mean, std : sequence of float, optional
        Of images as bytes / 255, by channel or one for all: the network is given (x / 255 - mean) / std. Without them
        it is given (x - 128) / 128, and voxels as they are.
    epochs : int
        Of training on.
    lr : float, optional
        Greatest learning rate of these.
    seed : int, optional
    run : path, optional
        A folder that keeps the training, and from which an interrupted one goes on; by default nothing is kept.
    accelerator : "cpu" or "cuda"
    progress : Progress

    Returns
    -------
    QuantizeResult

    Raises
    ------
    ValueError
        One line: weights that do not match the network, with the layer; a layer that cannot be lowered; data that does
        not fit.

    Examples
    --------
    >>> import torch
    >>> from pathlib import Path
    >>> import qtt_hw
    >>> net = '''
    ... from torch import nn
    ... def Net():
    ...     return nn.Sequential(nn.Conv3d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 27, 6))
    ... '''
    >>> _ = Path("net.py").write_text(net)
    >>> found = {}
    >>> exec(net, found)
    >>> torch.save(found["Net"]().state_dict(), "trained.pt")  # as it would come from elsewhere
    >>> result = qtt_hw.quantize("net.py:Net", "solids:8", "net.qtt", weights="trained.pt")
    >>> result.stages, result.weight_bits, result.weight_scales
    (2, 8, 'channel')
    >>> torch.save({"0.weight": torch.zeros(4, 1, 3, 3, 3)}, "other.pt")
    >>> qtt_hw.quantize("net.py:Net", "solids:8", "net.qtt", weights="other.pt")
    Traceback (most recent call last):
        ...
    ValueError: other.pt: has no 0.bias and 2 more, which the network has; it has 1 tensors
    """
    config = quantization(
        source,
        weights,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        weight_scales=weight_scales,
        mean=mean,
        std=std,
        epochs=epochs,
        lr=lr,
        seed=seed,
    )
    if not isinstance(data, Splits):
        data = config.data.load(data)
    return quantized(config, data, output, weights=weights, run=run, accelerator=accelerator, progress=progress)


def quantized(
    config: Config,
    data: Splits,
    output: str | Path,
    *,
    weights: str | Path | None,
    run: str | Path | None,
    accelerator: str,
    progress: Progress,
) -> QuantizeResult:
    """What `quantize` does with a configuration that `quantization` made; other arguments are those of `quantize`."""
    config = config.with_data(data)
    quant = config.quant
    assert quant is not None
    with ExitStack() as stack:
        folder = run if run is not None else stack.enter_context(tempfile.TemporaryDirectory(prefix="quantize-"))
        trained = train(config, data, folder, accelerator=accelerator, progress=progress)
        frozen = freeze_run(folder, output)
    before, after = (trained.phases[phase].validation_accuracy for phase in ("float", "quantized"))
    return QuantizeResult(
        model=frozen.model,
        name=frozen.name,
        digest=frozen.digest,
        weights=None if weights is None else str(weights),
        float_accuracy=before,
        accuracy=after,
        drop=round(100 * (before - after), 4),
        validation_samples=trained.validation_samples,
        epochs=quant.epochs,
        weight_bits=quant.weight_bits,
        activation_bits=quant.activation_bits,
        weight_scales=quant.weight_scales,
        weight_bytes=frozen.weight_bytes,
        stages=frozen.stages,
        macs=frozen.macs,
    )
