"""What a finished run holds: its float model, its quantised model, and the frozen integer graph made from that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from qtt_hw.data import Splits
from qtt_hw.errors import named, short
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Graph, InputSpec
from qtt_hw.graph import file as model_file
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.training.batches import Batches, derived_seed
from qtt_hw.training.compressed import rebuilt
from qtt_hw.training.config import Config, config_from
from qtt_hw.training.network import build_model
from qtt_hw.training.quantized import STATISTICS_EPOCH, calibrate, load_prepared, prepare_model
from qtt_hw.training.sections import QuantSection
from qtt_hw.training.store import RunStore

__all__ = ["QuantizedRun", "described_run", "float_model", "freeze_run", "frozen_graph", "load_run", "quantized_run"]


def _described(store: RunStore) -> tuple[Config, InputSpec, tuple[str, ...]]:
    where = str(store.folder / "run.json")
    try:
        description: dict[str, Any] = store.description()
        source = Path(description["folder"]) / f"{description['name']}.toml"
        config = config_from(description["config"], where, source)
        with named(where):
            spec = input_spec(
                tuple(description["sample_shape"]),
                description["block"],
                description["offset"],
                Format(**description["format"]),
                description.get("gain", 1),
            )
        return config, spec, tuple(description["labels"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{where}: is not what qtt train writes: {short(error)}") from None


def float_model(run: str | Path, spec: InputSpec | None = None, phase: str = "float") -> nn.Module:
    """The selected float model of a run, in eval mode.

    Of the phase `teacher` the dense one; of `compressed` what the last C step made, of `tune` that trained on.

    Raises
    ------
    ValueError
        When the folder holds no such model, or one that takes another input than `spec`.
    """
    store = RunStore(Path(run))
    config, own, labels = _described(store)
    if spec is not None and own.edge != spec.edge:
        raise ValueError(f"{run}: its model takes {own.edge}, this run's input is {spec.edge}")
    if not store.model(phase).exists():
        raise ValueError(f"{run}: holds no {phase} model yet")
    model = build_model(config, own, len(labels), 0, dense=phase.startswith("teacher"))
    return rebuilt(model, store.load_model(phase)[0]).eval()


def load_run(run: str | Path) -> tuple[PreparedModel, Config, InputSpec, tuple[str, ...]]:
    """The quantised model of a finished run in eval mode, its configuration, input format and labels."""
    store = RunStore(Path(run))
    config, spec, labels = _described(store)
    if config.quant is None:
        raise ValueError(f"{run}: was trained without a [quant] section, so it holds no quantised model")
    if not store.result.exists():
        raise ValueError(f"{run}: training has not ended; the command that started it goes on")
    # Only the structure: a run that started from another's float model holds none of its own, unless it is compressed.
    model = build_model(config, spec, len(labels), 0).eval()
    if config.compress is not None:
        model = rebuilt(model, store.load_model("compressed" if config.tune is None else "tune")[0]).eval()
    prepared = prepare_model(model, spec, config.quant)
    load_prepared(prepared, store.load_model("quantized")[0])
    return prepared, config, spec, labels


def described_run(run: str | Path) -> Config:
    """The configuration of a run."""
    return _described(RunStore(Path(run)))[0]


@dataclass(frozen=True, eq=False)
class QuantizedRun:
    """A quantised model in eval mode, and what it came from.

    Attributes
    ----------
    quant : QuantSection
        The configuration's, or the defaults where it has none.
    batches : Batches
        Of the training data, as the quantised phase makes them.
    phase : "quantized" or "float"
        Trained, or calibrated from its float phase.
    """

    prepared: PreparedModel
    config: Config
    quant: QuantSection
    spec: InputSpec
    labels: tuple[str, ...]
    batches: Batches
    phase: Literal["quantized", "float"]


def quantized_run(run: str | Path, data: Splits, phase: Literal["quantized", "float"] | None = None) -> QuantizedRun:
    """The quantised model of a run on its data.

    Of the phase `float`, the last float model calibrated, with its scales and statistics frozen: what training through
    the quantisation ends with when it has no epochs. Where nothing is said, the trained one, unless the run has no
    [quant] section.
    """
    store = RunStore(Path(run))
    config, spec, labels = _described(store)
    if phase is None:
        phase = "float" if config.quant is None else "quantized"
    how = QuantSection() if config.quant is None else config.quant
    augmentation = config.data.augmentation.augmentation()
    seed = derived_seed(config.train.seed, "quantized")
    if data.train.sample_shape != spec.sample_shape:
        found, wanted = list(data.train.sample_shape), list(spec.sample_shape)
        raise ValueError(f"{data.name}: its samples are {found} (D, H, W, C), {run} takes {wanted}")
    batches = Batches(data.train, spec, augmentation, how.batch, seed, torch.device("cpu"))
    if phase == "quantized":
        prepared = load_run(run)[0]
    else:
        last = "float" if config.compress is None else "compressed" if config.tune is None else "tune"
        prepared = prepare_model(float_model(run, phase=last), spec, how)
        if not prepared.floating:
            calibrate(prepared, batches, how)
            prepared.freeze_scales()
            prepared.freeze_statistics(batches.some(how.reestimate, STATISTICS_EPOCH))
    return QuantizedRun(prepared.eval(), config, how, spec, labels, batches, phase)


def frozen_graph(run: str | Path) -> Graph:
    """The integer graph of a finished run."""
    prepared, config, spec, labels = load_run(run)
    return freeze(prepared, spec, labels, config.name)


def freeze_run(run: str | Path, output: str | Path) -> Path:
    """Write the integer model of a finished run as a model file."""
    output = Path(output)
    model_file.save(frozen_graph(run), output)
    return output
