"""From a module or a training run to the integer model: what can be lowered, and a run frozen to one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from qtt_hw.graph.file import digest_of, load

if TYPE_CHECKING:
    from qtt_hw.lower.check import Row

__all__ = ["CheckResult", "FreezeResult", "check_source", "freeze_run"]


class FreezeResult(BaseModel):
    """The model file that was written. `weight_bytes` is all that is stored, packed; `file_bytes` the file's size."""

    model_config = ConfigDict(frozen=True)

    model: str
    name: str
    digest: str
    weight_bytes: int
    file_bytes: int
    stages: int
    macs: int


class CheckResult(BaseModel):
    """Whether a network can be lowered, and its layers in the order they run."""

    model_config = ConfigDict(frozen=True)

    model: str
    supported: bool
    layers: list[Any]


def freeze_run(run: str | Path, output: str | Path) -> FreezeResult:
    """Write the integer model of a finished training run as a model file.

    Parameters
    ----------
    run : path
        Folder that `train` wrote, with a [quant] section in its configuration.
    output : path
        The model file; it is written in one step.

    Returns
    -------
    FreezeResult
        With its `name`, `digest`, `weight_bytes`, `file_bytes`, `stages` and `macs`, the multiplications an inference.

    Raises
    ------
    ValueError
        One line that names the folder: it holds no run, none that has ended, or none that was quantised.

    Examples
    --------
    >>> import qtt_hw
    >>> result = qtt_hw.freeze_run("models/voxtt-modelnet10-run", "own.qtt")
    >>> result.stages, result.macs, result.weight_bytes
    (21, 5577888, 12929)
    >>> result.digest == qtt_hw.digest_of("models/voxtt-modelnet10.qtt")
    True
    >>> qtt_hw.freeze_run("models", "other.qtt")
    Traceback (most recent call last):
        ...
    ValueError: models: holds no run.json; expected a folder that qtt train wrote
    """
    from qtt_hw.training import freeze_run as write

    output = Path(output)
    write(run, output)
    graph = load(output)
    return FreezeResult(
        model=str(output),
        name=graph.name,
        digest=digest_of(output),
        weight_bytes=graph.weight_bytes,
        file_bytes=output.stat().st_size,
        stages=len(graph.nodes),
        macs=graph.macs(),
    )


def check_source(source: str | Path, input_shape: Sequence[int] | None = None) -> CheckResult:
    """Which layers of a network, named by its source, can be lowered to integer stages; `check` takes a module.

    Parameters
    ----------
    source : str or path
        `file.py:Net`, a zoo name, or a training configuration.
    input_shape : (C, D, H, W) or (C,), optional
        Of the network's input, after preprocessing; a zoo network has its own.

    Returns
    -------
    CheckResult
        `supported`, whether all can, and `layers`: a Row for each, as `check` gives it.

    Raises
    ------
    ValueError
        One line that names the source: it is not known, cannot be imported, or needs an input shape.

    Examples
    --------
    >>> import qtt_hw
    >>> result = qtt_hw.check_source("lenet")
    >>> result.supported, [row.type for row in result.layers][:3]
    (True, ['Conv2d', 'ReLU', 'MaxPool2d'])
    >>> qtt_hw.check_source("lenett")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: lenett: neither a .toml nor file.py:Net nor in the zoo, voxtt, ...
    """
    import torch

    from qtt_hw.lower.check import check
    from qtt_hw.training.untrained import network

    model, shape = network(str(source), input_shape)
    rows: list[Row] = check(model, torch.zeros(1, *shape))
    return CheckResult(model=str(source), supported=all(row.supported for row in rows), layers=rows)
