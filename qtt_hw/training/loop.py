"""A whole run: teachers, float training, calibration, quantisation-aware training; resumable at any step."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qtt_hw.data import Splits
from qtt_hw.errors import named
from qtt_hw.lc.algorithm import LCModel
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn.finite import unusable_tensors
from qtt_hw.nn.tt_conv import TTConvNd
from qtt_hw.nn.tucker_conv import TuckerConv
from qtt_hw.options import ACCELERATOR, ACCELERATORS
from qtt_hw.progress import Progress, silent
from qtt_hw.training.batches import Batches, derived_seed
from qtt_hw.training.compressed import PenalisedByLC, described, network_of, rebuilt, under_compression
from qtt_hw.training.compressed import milestones as c_steps
from qtt_hw.training.config import Config, load_config
from qtt_hw.training.curves import plot_curves
from qtt_hw.training.description import run_description, without_paths
from qtt_hw.training.distill import Loss, balanced
from qtt_hw.training.environment import reproducible
from qtt_hw.training.measure import accuracy
from qtt_hw.training.network import build_model, example_input
from qtt_hw.training.orientation import Orientation
from qtt_hw.training.penalty import Penalised
from qtt_hw.training.phase import Phase
from qtt_hw.training.processes import Processes, started
from qtt_hw.training.quantized import calibrate, milestones, prepare_model, scale_parameters
from qtt_hw.training.resident import Resident
from qtt_hw.training.result import PhaseResult, TrainResult, versions
from qtt_hw.training.run import float_model
from qtt_hw.training.sections import Optimisation
from qtt_hw.training.stop import StopSignals
from qtt_hw.training.store import RunStore

__all__ = ["train"]


def train(
    config: Config | str | Path,
    data: Splits | str | Path,
    out: str | Path,
    *,
    start: str | Path | None = None,
    accelerator: str = ACCELERATOR,
    progress: Progress = silent,
) -> TrainResult:
    """Train the network that a configuration describes into the folder `out`, or go on from where that folder stands.

    Float first, with a teacher or compressed where the configuration says so, then through the quantisation.

    The folder gets its training curves, `curves.png`, where matplotlib is installed.

    Interrupted at any moment and started again, it ends with the same weights, bit for bit, on the same machine. The
    calling process is left as it was; so its allocator is not told to keep memory, as the command line tells its own
    (`qtt_hw.process.keep_freed_memory`).

    Under `torchrun` its processes train together, each on a part of every batch: the steps are those of one process
    with the whole batch, to rounding (bfloat16's under `autocast`), unless the network drops out at random. All read
    the data, and the first one alone writes the folder; going on takes as many processes.

    Parameters
    ----------
    config : Config or path of a TOML file
    data : Splits or a source that `qtt_hw.data.load` knows
        Training and validation samples are used; test samples are not touched.
    out : path
        The run's folder.
    start : path, optional
        A finished run of the same network: its float model, and its teachers, take the place of training them; its
        compressed network too, if it was compressed as this configuration says.
    accelerator : "cpu" or "cuda"
    progress : Progress
        Told of every step, on each process; `qtt_hw.training.progress.progress_bar` draws bars on stderr.

    Returns
    -------
    TrainResult
        What `out`/result.json holds: `phases` with the validation accuracy of each, parameters, samples, seconds. The
        folder is what `freeze_run` takes.

    Raises
    ------
    Interrupted
        On SIGINT or SIGTERM, after a checkpoint.
    ValueError
        One line naming the file, the key or the layer; `Busy` where another process trains in `out`.

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
    ... weight_bits = 4
    ... epochs = 1
    ... '''
    >>> _ = Path("small.toml").write_text(configuration)
    >>> result = qtt_hw.train("small.toml", "solids", "run")
    >>> list(result.phases), result.train_samples, result.validation_samples
    (['float', 'quantized'], 108, 12)
    >>> qtt_hw.freeze_run("run", "small.qtt").name
    'small'
    >>> qtt_hw.train("small.toml", "solids", "run", accelerator="tpu")
    Traceback (most recent call last):
        ...
    ValueError: accelerator must be cpu or cuda, got 'tpu'
    """
    if not isinstance(config, Config):
        config = load_config(config)
    if accelerator not in ACCELERATORS:
        raise ValueError(f"accelerator must be {' or '.join(ACCELERATORS)}, got {accelerator!r}")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ValueError("accelerator cuda: this torch finds no CUDA device; use cpu")
    if not isinstance(data, Splits):
        data = config.data.load(data)
        config = config.with_data(data)
    splits = data
    origin = None if start is None else RunStore(Path(start))
    with started(accelerator) as processes:
        run = _Run(config, splits, RunStore(Path(out), processes), processes, origin)
        return run.go(progress)


def _float_activations(config: Config) -> bool:
    """Whether the quantised phase leaves activations in float."""
    return config.quant is not None and config.quant.activations == "float"


class _Run:
    """The phases of one run, in their order, and how each one's model comes from those before it."""

    def __init__(
        self, config: Config, splits: Splits, store: RunStore, processes: Processes, origin: RunStore | None
    ) -> None:
        self.config, self.splits, self.store, self.origin = config, splits, store, origin
        self.processes, self.device = processes, processes.device
        self.spec = config.data.input_spec(splits)
        self.seed = config.train.seed
        self.teachers = []
        if config.teacher is not None and config.teacher.dense:
            count = config.teacher.count
            self.teachers = ["teacher"] if count == 1 else [f"teacher{index}" for index in range(count)]
        self.resident = Resident.where_it_pays(splits.train, self.device)
        self.validation = Resident.where_it_pays(splits.validation, self.device)
        #: The phases whose models are taken from the origin, and those that are trained here.
        self.taken: list[str] = []
        self.names = [*self.teachers, "float"] if origin is None else []
        alike = origin is not None and config.compress is not None and self._compressed_alike(origin)
        if origin is not None:
            self.taken = [*self.teachers, self._last_float if alike else "float"]
        if config.compress is not None and not alike:
            self.names += ["compress"] if config.tune is None else ["compress", "tune"]
        if config.quant is not None:
            self.names.append("quantized")
        if not self.names:
            raise ValueError(f"{config.name}: has no [quant] section, so there is nothing to train from {origin}")

    def go(self, progress: Progress) -> TrainResult:
        config = self.config
        known = self._known_weights()
        description = run_description(config, self.splits, self.spec, known) | {"start": self._origin_digest()}
        if self.processes.several:
            description["processes"] = self.processes.count
        if known is None:
            self._check()  # before anything is written
        with self.store.held():
            return self._go(description, progress)

    def _known_weights(self) -> str | None:
        """Of a finished run whose weights file has gone, the digest of what that held: nothing more is made of it."""
        weights = self.config.model.weights
        if weights is None or (self.config.folder / weights).exists() or self.store.finished() is None:
            return None
        found = self.processes.from_first(lambda: str(self.store.description().get("weights_digest") or "").encode())
        return found.decode() or None

    def _go(self, description: dict[str, Any], progress: Progress) -> TrainResult:
        """What `go` does once the folder is this process's."""
        config, store = self.config, self.store
        resumed = store.begin(description, {"folder": str(config.folder.resolve())})
        finished = store.finished()
        if finished is not None:
            with named(store.result):
                return TrainResult.model_validate_json(finished)
        tensors: dict[str, Tensor] = {}
        state: dict[str, Any] = {"phase": 0, "done": {}, "calibrated": None}
        state["threads"] = config.train.threads or torch.get_num_threads()
        if resumed:
            tensors, state = store.load_checkpoint()
        store.cut_log(state.pop("log_size", 0))
        counters = state.pop("counters", None)
        started = time.perf_counter()
        with reproducible(state["threads"]), StopSignals(patient=self.processes.several) as stop:
            for index in range(state["phase"], len(self.names)):
                state["phase"] = index
                fresh = counters is None
                phase = self._phase(self.names[index], fresh, state)
                resume = None if counters is None else (tensors, counters)
                state["done"][phase.name] = phase.run(store, dict(state), resume, stop, progress)
                if isinstance(phase.model, PreparedModel):
                    state["done"][phase.name]["crossings"] = phase.model.crossings() or None
                if isinstance(phase.model, LCModel):
                    state["done"][phase.name]["compressed"] = self._compressed(phase.model)
                tensors, counters = {}, None
        phases = {name: PhaseResult(**values) for name, values in state["done"].items()}
        last = phases[self.names[-1]]
        result = TrainResult(
            name=config.name,
            run=str(store.folder),
            data=self.splits.name,
            seed=self.seed,
            phases=phases,
            calibrated_accuracy=state["calibrated"],
            validation_accuracy=last.validation_accuracy,
            parameters=_parameters(phases),
            train_samples=len(self.splits.train),
            validation_samples=len(self.splits.validation),
            seconds=round(sum(phase.seconds for phase in phases.values()), 3) or time.perf_counter() - started,
            accelerator=self.device.type,
            threads=state["threads"],
            processes=self.processes.count,
            versions=versions(),
            config=config.model_dump(mode="json"),
        )
        if self.processes.first and store.log_size():
            # Without matplotlib nothing is drawn, nor is a log that somebody changed; the run has ended all the same.
            with contextlib.suppress(ImportError, ValueError):
                plot_curves(store.folder)
        store.write_result(result.model_dump_json(indent=1) + "\n")
        return result

    def _batches(self, phase: str, how: Optimisation) -> Batches:
        augmentation = self.config.data.augmentation.augmentation()
        seed = derived_seed(self.seed, phase)
        return Batches(
            self.splits.train, self.spec, augmentation, how.batch, seed, self.device, self.processes, self.resident
        )

    def _phase(self, name: str, fresh: bool, state: dict[str, Any]) -> Phase:
        """The phase by name; `fresh` unless its model's state is about to be loaded from a checkpoint."""
        config = self.config
        common: dict[str, Any] = {
            "validation": self.splits.validation,
            "checkpoint_steps": config.train.checkpoint_steps,
            "autocast": config.train.autocast and (name != "quantized" or _float_activations(config)),
            "processes": self.processes,
            "resident": self.validation,
        }
        graphs: dict[str, Any] = {"graphs": config.train.graphs}
        smoothing = config.train.label_smoothing
        labels = torch.from_numpy(self.splits.train.y).to(self.device)
        offsets = balanced(labels, len(self.splits.labels), config.train.balance)
        if name in self.teachers:
            assert config.teacher is not None
            batches = self._batches(name, config.teacher)
            model = self._network(name, dense=True)
            alone = _penalised(Loss(smoothing, offsets=offsets), model, config.teacher)
            common["orientation"] = self._orientation(name, model)
            return Phase(name, model, config.teacher, batches, loss=alone, **common, **graphs)
        loss: Callable[[Tensor, Tensor, Tensor], Tensor] = Loss(smoothing, offsets=offsets)
        if config.teacher is not None and config.teacher.weight:
            loss = Loss(smoothing, self._teachers(), config.teacher.temperature, config.teacher.weight, offsets)
        if name == "float":
            model = self._network(name, trained=True)
            loss = _penalised(loss, model, config.train)
            common["orientation"] = self._orientation(name, model)
            return Phase(name, model, config.train, self._batches(name, config.train), loss=loss, **common, **graphs)
        if name == "compress":
            assert config.compress is not None
            batches = self._batches(name, config.compress)
            pulled = under_compression(self._finished("float"), config.compress, self.seed).to(self.device)
            return Phase(
                name,
                pulled,
                config.compress,
                batches,
                loss=PenalisedByLC(_penalised(loss, pulled, config.compress), pulled),
                milestones=c_steps(pulled, config.compress, batches.per_epoch),
                describe=lambda: described(pulled),
                **common,
            )
        if name == "tune":
            assert config.tune is not None
            model = self._finished("compressed")
            loss = _penalised(loss, model, config.tune)
            return Phase(name, model, config.tune, self._batches(name, config.tune), loss=loss, **common, **graphs)
        assert config.quant is not None
        batches = self._batches(name, config.quant)
        prepared = prepare_model(self._base().cpu(), self.spec, config.quant).to(self.device)
        if fresh:
            calibrate(prepared, batches, config.quant)
            self.processes.share(prepared)
            state["calibrated"] = accuracy(prepared, self.splits.validation, self.spec, self.device, self.processes)
        return Phase(
            name,
            prepared,
            config.quant,
            batches,
            loss=_penalised(loss, prepared, config.quant),
            milestones=milestones(prepared, batches, config.quant),
            scales=scale_parameters(prepared),
            scale_lr=config.quant.scale_lr,
            describe=lambda: _described(prepared),
            **common,
        )

    def _network(self, phase: str, *, dense: bool = False, trained: bool = False) -> nn.Module:
        seed, classes = derived_seed(self.seed, phase, "weights"), len(self.splits.labels)
        return build_model(self.config, self.spec, classes, seed, dense=dense, trained=trained).to(self.device)

    def _orientation(self, phase: str, model: nn.Module) -> Orientation | None:
        """The classifier of turns that a float phase trains beside its network, if there is to be one."""
        how = self.config.orientation
        if how is None:
            return None
        seed = derived_seed(self.seed, phase, "orientation")
        example = example_input(self.spec).to(self.device)
        return Orientation(model, how, self.config.data.augmentation.turns, example, seed)

    def _finished(self, phase: str) -> nn.Module:
        """The selected model of a finished phase, in eval mode; that of `compress` after its last C step."""
        model = self._network(phase, dense=phase in self.teachers)
        store = self.origin if self.origin is not None and phase in self.taken else self.store
        return rebuilt(model, store.load_model(phase)[0]).to(self.device).eval()

    @property
    def _last_float(self) -> str:
        """The phase whose model is quantised."""
        if self.config.compress is None:
            return "float"
        return "compressed" if self.config.tune is None else "tune"

    def _base(self) -> nn.Module:
        """The float model that is quantised; compressed, its layers are known from a copy in the run's own folder."""
        model = self._finished(self._last_float)
        if self._last_float in self.taken and self.config.compress is not None:
            self.store.save_model(self._last_float, model.state_dict(), {"phase": self._last_float})
        return model

    def _compressed(self, model: LCModel) -> dict[str, Any]:
        """Do the last C step on the selected weights, keep the compressed network, and say what it is."""
        model.load_state_dict(self.store.load_model("compress")[0])
        network = network_of(model).to(self.device)
        self.store.save_model("compressed", network.state_dict(), {"phase": "compressed"})
        made = {n: layer.ranks for n, layer in network.named_modules() if isinstance(layer, TTConvNd | TuckerConv)}
        return {
            "validation_accuracy": accuracy(network, self.splits.validation, self.spec, self.device, self.processes),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "distance": model.distance,
            "ranks": made,
        }

    def _origin_digest(self) -> dict[str, str] | None:
        """Which models are started from: sha256 of each file, after a check that they are of this network."""
        if self.origin is None:
            return None
        theirs, ours = self.origin.description()["config"]["model"], self.config.model.model_dump(mode="json")
        if without_paths(theirs) != without_paths(ours):
            raise ValueError(f"{self.origin.folder}: holds another network than {self.config.name} describes")
        for phase in self.taken:
            if not self.origin.model(phase).exists() or not self.origin.result.exists():
                raise ValueError(f"{self.origin.folder}: holds no finished {phase} model to start from")
        return {phase: hashlib.sha256(self.origin.model(phase).read_bytes()).hexdigest() for phase in self.taken}

    def _compressed_alike(self, origin: RunStore) -> bool:
        """Whether the origin holds what this run's compression and tuning would make."""
        theirs, ours = origin.description()["config"], self.config.model_dump(mode="json")
        return all(theirs[section] == ours[section] for section in ("compress", "tune"))

    def _teachers(self) -> list[nn.Module]:
        assert self.config.teacher is not None
        if self.config.teacher.run is None:
            models = [self._finished(name) for name in self.teachers]
        else:
            runs = (self.config.folder / run for run in self.config.teacher.runs)
            models = [float_model(run, self.spec).to(self.device) for run in runs]
        return [model.requires_grad_(False) for model in models]

    def _check(self) -> None:
        """Raise ValueError before the first epoch when the network does not fit the data or cannot be lowered."""
        for section in ("teacher", "train", "compress", "tune", "quant"):
            how = getattr(self.config, section)
            if how is not None and min(how.batch, len(self.splits.train)) < self.processes.count:
                raise ValueError(f"{section}.batch: {how.batch} samples are less than {self.processes.count} processes")
        model = self._network("float", trained=self.origin is None).eval()
        self._orientation("float", model)
        for tensor, wrong in unusable_tensors(model) if self.origin is None else ():
            raise ValueError(f"{self.config.model.name}: {tensor} {wrong}; training cannot begin with it")
        how = self.config.compress
        if how is not None:
            c_steps(under_compression(model, how), how, self._batches("compress", how).per_epoch)
        if self.config.quant is None:
            return
        quant = self.config.quant
        if how is not None:  # which makes layers that have names only then
            names = {name for name, _ in model.named_modules()}
            quant = quant.model_copy(update={"layers": {n: b for n, b in quant.layers.items() if n in names}})
        try:
            prepare_model(model.cpu(), self.spec, quant)
        except ValueError as error:
            raise ValueError(f"{self.config.model.name}: {error}") from None


def _parameters(phases: dict[str, PhaseResult]) -> int:
    """Of the float network that the run ends with, compressed if it was."""
    for name in ("tune", "compress", "float"):
        if name in phases:
            compressed = phases[name].compressed
            return phases[name].parameters if compressed is None else compressed.parameters
    return next(reversed(phases.values())).parameters


def _penalised(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor], model: nn.Module, how: Optimisation
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return loss if how.penalty is None else Penalised(loss, model, how.penalty, how.penalty_weight)


def _described(prepared: PreparedModel) -> dict[str, Any]:
    """What an epoch's log line says about quantisers: clipped shares, crossings of codebooks."""
    found: dict[str, Any] = {}
    if not prepared.floating:
        found["clip_rates"] = {name: round(rate, 5) for name, rate in prepared.clip_rates().items()}
    if prepared.crossings():
        found["crossings"] = prepared.crossings()
    return found
