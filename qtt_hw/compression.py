"""From a dense network to one that fits a device: ranks chosen by the planner, learning-compression, integers, a plan.

The whole way in one folder, every step of which is resumed where it was cut off; of two processes in it the second is
refused. Those that share the search of ranks have a folder each and one storage.

    OUT/dense        the dense network, trained in float: what the accuracy is compared with
    OUT/ranks.study  the search of ranks, unless it is kept elsewhere
    OUT/front.json, front.png   accuracy against cycles: what no other trial beats
    OUT/NUMBER       learning-compression at the ranks of that trial, tuned and quantised
    OUT/model.qtt, plan.json    what came out of it
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from pydantic import BaseModel, ConfigDict
from torch import nn

from qtt_hw.data import Splits
from qtt_hw.files import write_file
from qtt_hw.folders import COMPRESSION, claim
from qtt_hw.freezing import freeze_run
from qtt_hw.graph.file import load
from qtt_hw.locks import locked
from qtt_hw.options import ACCURACY_DROP, SEARCHED_ON, STEPS, TRIALS, require_above_zero
from qtt_hw.progress import Progress, part_of, silent
from qtt_hw.rank.study import open_storage
from qtt_hw.training import TrainResult, float_model, train
from qtt_hw.training.compressed import left_dense, with_weights
from qtt_hw.training.config import Config, configuration
from qtt_hw.training.network import build_model
from qtt_hw.training.rank_search import Point, RankSearch
from qtt_hw.training.sections import CompressSection, Optimisation, QuantSection
from qtt_hw.training.store import RunStore
from qtt_hw.tt.ends import layer_parameters
from rtl_gen.families import Device
from rtl_gen.families import device as find_device
from rtl_gen.plan.plan import most_cycles, rate_of, save_plan
from rtl_gen.plan.search import plan as make_plan
from rtl_gen.prediction import Mean

__all__ = ["CompressResult", "LayerResult", "changed", "compress"]

#: What frames a second are reckoned at.
CLOCK_MHZ = 100.0


class LayerResult(BaseModel):
    """What became of a layer with weights, or of a parameter that the network's forward takes itself.

    Attributes
    ----------
    layer : str
        Its name, or the parameter's.
    dense_parameters, parameters : int
        Before and after.
    ranks : tuple of int, optional
        Of its tensor train, where it became one.
    why : str
        It stays dense; empty where it became a train.
    """

    model_config = ConfigDict(frozen=True)

    layer: str
    type: str
    dense_parameters: int
    parameters: int
    ranks: tuple[int, ...] | None
    why: str


class CompressResult(BaseModel):
    """What OUT holds in the end; all accuracies are of the validation samples.

    Attributes
    ----------
    drop : float
        Points that the integer network lacks of the dense one.
    met : bool
        Whether that is at most what was allowed.
    parameters : int
        Of the compressed network before it became integers.
    layers : tuple of LayerResult
        All that has weights, in the network's order.
    trials : int
        Of the search, by all processes.
    front : tuple of Point
        What the search found.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    plan: str
    device: str
    dense_accuracy: float
    compressed_accuracy: float
    accuracy: float
    drop: float
    met: bool
    dense_parameters: int
    parameters: int
    weight_bytes: int
    cycles: Mean
    intervals: tuple[int, ...]
    dense_cycles: int | float | None
    frames_per_second: float
    ranks: dict[str, tuple[int, ...]]
    layers: tuple[LayerResult, ...]
    trials: int
    front: tuple[Point, ...]


def _allowed(points: Sequence[Point], dense: float, drop: float) -> list[Point]:
    """The points in the order in which they are tried: cheapest within the drop first, else the most accurate."""
    within = [point for point in points if point.accuracy >= dense - drop / 100.0]
    return within or list(points[-1:])


def _reaching(points: Sequence[Point], fps: float | None, name: str, device: str) -> list[Point]:
    """Those that reach a rate at the planner's clock."""
    fitting = [point for point in points if point.cycles is not None]
    if not fitting:
        raise ValueError(f"{name}: no trial fits {device}; allow more trials or name a larger device")
    if fps is None:
        return fitting
    target = most_cycles(CLOCK_MHZ, fps)
    found = [point for point in fitting if point.cycles is not None and point.cycles <= target]
    if not found:
        least = min(Fraction(point.cycles) for point in fitting if point.cycles is not None)
        raise ValueError(
            f"{name}: no trial reaches {fps:g} frames a second on {device} at {CLOCK_MHZ:g} MHz, the fastest "
            f"{rate_of(CLOCK_MHZ, least):.4g}; allow more trials or name a larger device"
        )
    return found


def _layers(network: nn.Module, how: CompressSection | None, ranks: dict[str, tuple[int, ...]]) -> list[LayerResult]:
    """What becomes of everything with weights at these ranks."""
    why, found = left_dense(network, how), []
    for name, layer in with_weights(network):
        own = [layer] if isinstance(layer, nn.Parameter) else layer.parameters()
        dense = sum(parameter.numel() for parameter in own)
        made, after = ranks.get(name), dense
        if made is not None:
            shape = tuple(layer.weight.shape)  # type: ignore[arg-type, union-attr]
            after = layer_parameters((*shape[1:], shape[0]), made) + dense - math.prod(shape)
        found.append(
            LayerResult(
                layer=name,
                type=type(layer).__name__,
                dense_parameters=dense,
                parameters=after,
                ranks=made,
                why="" if made is not None else why.get(name, "no train of the trial's error is smaller, or cheaper"),
            )
        )
    return found


def compress(
    source: str | Path | Config,
    data: Splits | str | Path,
    out: str | Path,
    *,
    device: Device | str = SEARCHED_ON,
    max_accuracy_drop: float = ACCURACY_DROP,
    fps: float | None = None,
    bits: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    trials: int = TRIALS,
    steps: int = STEPS,
    attempts: int = 2,
    storage: str | Path | None = None,
    progress: Progress = silent,
) -> CompressResult:
    """Compress a dense network to integer tensor trains with as few cycles on a device as a drop in accuracy allows.

    Trains the dense network, searches ranks for the device, trains under them by learning-compression, quantises,
    freezes and plans, which takes from minutes to days. What `out` holds already is not done again.

    Parameters
    ----------
    source : path, name or Config
        A configuration (its [train] section trains the dense network; [compress], [tune] and [quant] may say how it
        goes on), a zoo network, or `file.py:Net`, any nn.Module that `qtt check` accepts.
    data : Splits or a source that `qtt_hw.data.load` knows
        Training and validation samples are used; test samples are not touched.
    out : path
        Folder of all that is written: model.qtt, plan.json and the steps towards them.
    device : Device or str
        The FPGA.
    max_accuracy_drop : float
        In points of validation accuracy, from the dense float network to the integer one.
    fps : float, optional
        Frames a second that are enough at 100 MHz: trials that do not reach them are left out, and the plan has the
        least hardware for them, where it otherwise is the fastest.
    bits : int, optional
        Of weights, in place of the configuration's.
    epochs : int, optional
        Of the dense network's training, in place of the configuration's; learning-compression and tuning have half of
        them each where the configuration says nothing else.
    seed : int, optional
        In place of the configuration's.
    trials, steps : int
        Of the rank search, and of training within each trial.
    attempts : int
        How many points of the front are trained in full, each less compressed than the one before, while the drop is
        too large.
    storage : path or URL, optional
        Of the rank search's study; a journal file in `out` unless given.
    progress : Progress

    Returns
    -------
    CompressResult
        With the paths `model` and `plan`; the accuracies, their `drop` in points and whether it is `met`; `cycles`
        beside `dense_cycles`, `weight_bytes`, the `ranks` by layer, and what became of all `layers`.

    Raises
    ------
    ValueError
        One line: nothing to compress, an unknown device, a storage that cannot be opened, that nothing fits, or a
        folder of something else; `Busy` where another process works in it.

    References
    ----------
    Carreira-Perpinan, "Model compression as constrained optimization, with application to neural nets",
    arXiv:1707.01209, for learning-compression.

    Examples
    --------
    >>> import qtt_hw
    >>> result = qtt_hw.compress("net.py:Net", "own.npz", "own", device="ecp5-25f")  # doctest: +SKIP
    >>> print(f"{result.cycles} cycles, dense {result.dense_cycles}; {result.drop} points lost")  # doctest: +SKIP

    Arguments are checked before anything is trained:

    >>> qtt_hw.compress("lenet", "own.npz", "own", max_accuracy_drop=-1.0)
    Traceback (most recent call last):
        ...
    ValueError: max_accuracy_drop must be at least 0, got -1
    >>> qtt_hw.compress("lenett", "own.npz", "own")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: lenett: neither a .toml nor file.py:Net nor in the zoo, voxtt, ...
    """
    chosen = find_device(device) if isinstance(device, str) else device
    if not max_accuracy_drop >= 0:
        raise ValueError(f"max_accuracy_drop must be at least 0, got {max_accuracy_drop:g}")
    require_above_zero("fps", fps)
    folder = Path(out)
    config = changed(source if isinstance(source, Config) else configuration(source), bits, epochs, seed)
    if config.train.epochs == 0 and config.model.weights is None:
        raise ValueError(f"{config.name}: train.epochs is 0; the dense network is trained first, it needs some")
    if not isinstance(data, Splits):
        data = config.data.load(data)
        config = config.with_data(data)
    untrained = build_model(config, config.data.input_spec(data), len(data.labels), 0).eval()
    RankSearch(untrained, config, data, chosen).check(progress=part_of(progress, "plan"))
    shared = open_storage(storage)
    claim(folder, COMPRESSION, "is not empty and holds no compression; use a new folder")
    with locked(folder / ".compress.lock", folder):
        where = shared or open_storage(folder / "ranks.study")
        task = _Task(config, data, folder, chosen, max_accuracy_drop, fps, progress)
        return task.run(trials, steps, attempts, where)


def changed(config: Config, bits: int | None, epochs: int | None, seed: int | None) -> Config:
    """The configuration with what `compress` is given in place of its own."""
    changes: dict[str, Any] = {}
    if bits is not None:
        changes["quant"] = {"weight_bits": bits}
    if epochs is not None:
        changes["train"] = {"epochs": epochs}
    if changes:
        config = config.changed(config.name, changes)
    return config if seed is None else config.with_seed(seed)


@dataclass(frozen=True, eq=False)
class _Task:
    """What is compressed, in which folder, for which device, the drop that is allowed and the rate that is enough."""

    config: Config
    data: Splits
    folder: Path
    device: Device
    drop: float
    fps: float | None
    progress: Progress

    def training(self, label: str) -> Progress:
        """What one training tells: its steps, under a label of their own."""

        def told(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
            self.progress(f"{label}, {step}", done, total, text)

        return told

    def run(self, trials: int, steps: int, attempts: int, storage: BaseStorage | None) -> CompressResult:
        """Train the dense network, search ranks, and finish points of the front until one is accurate enough."""
        config, folder = self.config, self.folder
        dense_config = config.changed(config.name, {}, without=["compress", "tune", "quant"])
        dense = train(dense_config, self.data, folder / "dense", progress=self.training("dense"))
        network = float_model(folder / "dense")
        weights = RunStore(folder / "dense").description().get("weights_digest")  # their file may have gone since
        search = RankSearch(network, config, self.data, self.device, steps=steps, weights_digest=weights)
        front = search.front(trials, storage=storage, progress=self.progress)
        fitting = _reaching(front.points, self.fps, config.name, self.device.name)
        candidates = _allowed(fitting, dense.validation_accuracy, self.drop)
        _write_front(folder, front.points, dense.validation_accuracy, self.device.name)
        result: CompressResult | None = None
        for point in candidates[: max(attempts, 1)]:
            result = self.finish(point, dense.validation_accuracy)
            if result.met:
                break
        assert result is not None
        result = result.model_copy(
            update={
                "dense_parameters": dense.parameters,
                "layers": tuple(_layers(network, config.compress, result.ranks)),
                "dense_cycles": search.cost(network, progress=part_of(self.progress, "plan")).cycles,
                "trials": front.trials,
                "front": front.points,
            }
        )
        write_file(folder / "result.json", result.model_dump_json(indent=1) + "\n")
        return result

    def finish(self, point: Point, dense_accuracy: float) -> CompressResult:
        """Train at a point's ranks, freeze, plan; `model.qtt` and `plan.json` are then this point's."""
        config, folder = self.config, self.folder
        if point.ranks:
            how = _compressing(config, point)
        else:  # the dense network already does
            how = config.model_copy(update={"compress": None, "tune": None, "quant": config.quant or QuantSection()})
        run = folder / str(point.number)
        label = f"trial {point.number}"
        trained = train(how, self.data, run, start=folder / "dense", progress=self.training(label))
        freeze_run(run, folder / "model.qtt")
        graph = load(folder / "model.qtt")
        plan = make_plan(graph, self.device, fps=self.fps, clock_mhz=CLOCK_MHZ, progress=part_of(self.progress, "plan"))
        save_plan(plan, folder / "plan.json")
        drop = round(100.0 * (dense_accuracy - trained.validation_accuracy), 4)
        return CompressResult(
            model=str(folder / "model.qtt"),
            plan=str(folder / "plan.json"),
            device=self.device.name,
            dense_accuracy=dense_accuracy,
            compressed_accuracy=_compressed_accuracy(trained, dense_accuracy),
            accuracy=trained.validation_accuracy,
            drop=drop,
            met=drop <= self.drop,
            dense_parameters=0,
            parameters=point.parameters,
            weight_bytes=graph.weight_bytes,
            cycles=plan.cycles,
            intervals=plan.predicted.intervals,
            dense_cycles=None,
            frames_per_second=plan.frames_per_second,
            ranks=point.ranks,
            layers=(),
            trials=0,
            front=(),
        )


def _compressing(config: Config, point: Point) -> Config:
    """The configuration that compresses at a point's ranks: by its own sections where it has them, else as [train]."""
    epochs = max(config.train.epochs // 2, 1)
    again = {name: getattr(config.train, name) for name in Optimisation.model_fields}
    again |= {"epochs": epochs, "lr": config.train.lr / 4}
    how = config.compress or CompressSection(**again, pairs=min(4, epochs), mu=1e-2, growth=4.0)
    form = {} if how.form == "both" else {"form": "train", "bits": None, "codebook": None, "zero": False}
    section = how.model_dump() | {"ranks": point.ranks, "tucker": {}, "layers": tuple(point.ranks), **form}
    tune = config.tune or (Optimisation(**again) if section["bits"] is None else None)
    quant = config.quant or QuantSection(batch=config.train.batch)
    return config.model_copy(update={"compress": CompressSection(**section), "tune": tune, "quant": quant})


def _compressed_accuracy(trained: TrainResult, dense: float) -> float:
    """Of the float network that was quantised."""
    if "tune" in trained.phases:
        return trained.phases["tune"].validation_accuracy
    made = trained.phases["compress"].compressed if "compress" in trained.phases else None
    return dense if made is None else made.validation_accuracy


def _write_front(folder: Path, points: Sequence[Point], dense: float, device: str) -> None:
    """The front as JSON and, where matplotlib is installed, as a plot."""
    rows = {"device": device, "dense_accuracy": dense, "points": [asdict(point) for point in points]}
    write_file(folder / "front.json", json.dumps(rows, indent=1) + "\n")
    try:
        from matplotlib.figure import Figure  # not pyplot, whose settings are the caller's
    except ImportError:
        return
    shown = [(point.cycles, 100 * point.accuracy) for point in points if point.cycles is not None]
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.plot([cycles for cycles, _ in shown], [percent for _, percent in shown], "o-", drawstyle="steps-post")
    axes.axhline(100 * dense, linestyle=":", color="grey", label="dense")
    axes.set(xscale="log", xlabel=f"cycles an inference on {device}", ylabel="validation accuracy, %")
    axes.legend()
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=120)
    write_file(folder / "front.png", drawn.getvalue())
