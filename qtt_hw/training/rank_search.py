"""Ranks of a whole network: validation accuracy after a short training against the planner's cycles and block RAMs.

A trial's numbers are few, whatever the depth: one per kind of layer, the relative error that its tensor trains may
make, and one that all ranks are rounded up to a multiple of, since folding divides them.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from optuna.storages import BaseStorage
from torch import nn

from qtt_hw.data import Splits
from qtt_hw.graph import InputSpec
from qtt_hw.nn.memory import channels_last
from qtt_hw.progress import Progress, in_words, silent
from qtt_hw.rank.study import Found, Values, search
from qtt_hw.training.batches import Batches, derived_seed
from qtt_hw.training.compressed import LEAST_WEIGHTS, searched, train_kind
from qtt_hw.training.config import Config
from qtt_hw.training.description import run_description
from qtt_hw.training.distill import Loss
from qtt_hw.training.measure import accuracy
from qtt_hw.training.network import replace_layer
from qtt_hw.training.sections import QuantSection
from qtt_hw.training.untrained import untrained_graph
from qtt_hw.tt.ends import layer_parameters, layer_ranks
from qtt_hw.tt.svd import tt_svd
from rtl_gen.families import Device
from rtl_gen.plan.search import DoesNotFit
from rtl_gen.plan.search import plan as make_plan
from rtl_gen.prediction import number_of

__all__ = ["Cost", "ParetoSet", "Point", "RankSearch", "alike"]

#: A trial's number n lets a layer's tensor train make about the relative error n * STEP; 0 leaves the layer as it is.
STEP = 0.05
MOST_STEPS = 18
#: Ranks are rounded up to multiples of 2**m.
MOST_DOUBLINGS = 3
#: Raised when a trial's numbers come to mean other layers, so that no study mixes the two.
MEANING = 3


@dataclass(frozen=True)
class Cost:
    """What the planner says of a network: None where it does not fit the device.

    Attributes
    ----------
    cycles : int or None
        Between inferences.
    brams : int or None
        Block RAMs.
    macs : int
    """

    cycles: int | float | None
    brams: int | None
    macs: int


@dataclass(frozen=True)
class Point:
    """A network of the front.

    Attributes
    ----------
    ranks : dict
        TT-ranks by layer; layers that are not named stay dense.
    accuracy : float
        On validation, after the trial's short training.
    cycles, brams : int or None
        Between inferences, and block RAMs, by the planner; None where it does not fit the device.
    macs, parameters : int
    number : int
        Of the trial.
    """

    ranks: dict[str, tuple[int, ...]]
    accuracy: float
    cycles: int | float | None
    brams: int | None
    macs: int
    parameters: int
    number: int


@dataclass(frozen=True)
class ParetoSet:
    """The points that no other beats, of different ranks, fewest cycles first; and how many trials were evaluated."""

    points: tuple[Point, ...]
    trials: int


def alike(network: nn.Module, layers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The layers by what they are called together: those of the same kernel and channels, "16x16x3x3"."""
    groups: dict[str, list[str]] = {}
    for name in layers:
        shape = network.get_submodule(name).weight.shape  # type: ignore[union-attr]
        groups.setdefault("x".join(map(str, shape)), []).append(name)  # type: ignore[arg-type]
    return {key: tuple(names) for key, names in groups.items()}


@dataclass(frozen=True, eq=False)
class RankSearch:
    """What trials are made of.

    Parameters
    ----------
    network : nn.Module
        Trained, in eval mode; left as it is.
    config : Config
        Its data, quantisation and batch; its `compress` section may name the layers.
    splits : Splits
    device : Device
    steps : int
        Of training after ranks are cut, before the accuracy is taken.
    lr : float
    weights_digest : str, optional
        As of `run_description`.
    """

    network: nn.Module
    config: Config
    splits: Splits
    device: Device
    steps: int = 50
    lr: float = 1e-3
    weights_digest: str | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return searched(self.network, self.config.compress)

    @property
    def spec(self) -> InputSpec:
        return self.config.data.input_spec(self.splits)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        return alike(self.network, self.layers)

    @property
    def space(self) -> dict[str, tuple[int, int]]:
        """Ranges of a trial's numbers, each from 1, see STEP and MOST_DOUBLINGS."""
        return {**{key: (1, 1 + MOST_STEPS) for key in self.groups}, "multiple": (1, 1 + MOST_DOUBLINGS)}

    def ranks(self, numbers: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """The TT-ranks of every layer that a trial makes a tensor train of."""
        multiple = 1 << (numbers["multiple"] - 1)
        found = {}
        for key, names in self.groups.items():
            eps = STEP * (numbers[key] - 1)
            for name in names if eps else ():
                layer = self.network.get_submodule(name)
                kind = train_kind(layer)
                assert kind is not None
                kernel = kind.modes_of(layer)  # type: ignore[arg-type]
                cut = (core.shape[2] for core in tt_svd(kernel, eps=eps)[:-1])
                ranks = layer_ranks(kernel.shape, [-(-rank // multiple) * multiple for rank in cut])
                if layer_parameters(kernel.shape, ranks) < kernel.size:
                    found[name] = ranks
        return found

    def compressed(self, ranks: Mapping[str, tuple[int, ...]]) -> nn.Module:
        """A copy of the network with tensor trains of these ranks."""
        network = copy.deepcopy(self.network)
        for name, rank in ranks.items():
            layer = network.get_submodule(name)
            kind = train_kind(layer)
            assert kind is not None
            replace_layer(network, name, kind.from_dense(layer, rank, redundant_ranks=True))  # type: ignore[arg-type]
        return channels_last(network)

    def tuned(self, network: nn.Module) -> float:
        """Validation accuracy after `steps` of training, which also settles the batch norms."""
        train = self.config.train
        seed = derived_seed(train.seed, "rank search")
        cpu = torch.device("cpu")
        augmentation = self.config.data.augmentation.augmentation()
        batches = Batches(self.splits.train, self.spec, augmentation, train.batch, seed, cpu)
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.lr)
        loss = Loss(train.label_smoothing)
        network.train()
        for step in range(self.steps):
            epoch, index = divmod(step, batches.per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = self.lr * (1.0 - step / self.steps)
            x, y = batches.make(epoch, index)
            optimizer.zero_grad(set_to_none=True)
            loss(x, network(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return accuracy(network.eval(), self.splits.validation, self.spec, cpu)

    def cost(self, network: nn.Module, *, progress: Progress = silent) -> Cost:
        """Cycles and block RAMs by the planner, and multiplications.

        Raises
        ------
        ValueError
            When the network cannot be lowered.
        """
        how = self.config.quant or QuantSection()
        graph = untrained_graph(network, self.spec, self.splits.labels, how, self.config.name)
        try:
            plan = make_plan(graph, self.device, progress=progress)
        except DoesNotFit:
            return Cost(None, None, graph.macs())
        return Cost(number_of(plan.cycles), plan.brams, graph.macs())

    def check(self, *, progress: Progress = silent) -> None:
        """Raise ValueError when nothing can be compressed, a layer is not there, or the network cannot be lowered."""
        if not self.layers:
            raise ValueError(
                f"{self.config.model.name}: has nothing to compress: no convolution behind its first, and no linear "
                f"layer of {LEAST_WEIGHTS} weights or more"
            )
        self.cost(self.network, progress=progress)

    def identity(self, by: str) -> str:
        """The name of the study: its trials are looked up by it, so it tells apart whatever would change a value."""
        description = {
            "meaning": MEANING,
            "run": run_description(self.config, self.splits, self.spec, self.weights_digest),
            "network": repr(self.network),
            "device": asdict(self.device),
            "steps": self.steps,
            "lr": self.lr,
        }
        digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
        return f"{self.config.name} {by} {self.device.name} {digest[:16]}"

    def front(
        self,
        trials: int,
        *,
        by: Literal["cycles", "macs"] = "cycles",
        storage: BaseStorage | None = None,
        progress: Progress = silent,
    ) -> ParetoSet:
        """The points that no other beats in accuracy and in what it costs.

        Parameters
        ----------
        trials : int
            Of the whole study.
        by : "cycles" or "macs"
            What costs: cycles and block RAMs on the device, which all points have to fit; or multiplications, as in
            published searches.
        storage : optional
            Of the study, so that it is resumed and shared: see `qtt_hw.rank.study`. Another network, training, device
            or number of steps is another study.
        progress : Progress
            Told how many trials are done, and what the planner does for the one that is made.
        """
        known: dict[tuple[tuple[str, tuple[int, ...]], ...], Values] = {}

        made = 0

        def counted(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
            nonlocal made
            made = int(done)
            progress(step, done, total, text)

        def planning(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
            progress("ranks", made, trials, f"plan: {in_words(step, done, total, text)}")

        def evaluate(numbers: dict[str, int]) -> Values:
            ranks = self.ranks(numbers)
            key = tuple(sorted(ranks.items()))
            if key not in known:
                known[key] = self._values(self.compressed(ranks), by, planning)
            return known[key]

        whole = {key: 1 for key in self.space}
        half = {key: 1 + MOST_STEPS // 2 for key in self.groups} | {"multiple": 2}
        found = search(
            self.identity(by),
            self.space,
            evaluate,
            ["maximize", "minimize", "minimize"] if by == "cycles" else ["maximize", "minimize"],
            trials,
            first=[whole, half],
            storage=storage,
            seed=self.config.train.seed,
            progress=counted,
        )
        points: dict[str, Point] = {}
        for item in found.best:
            point = self._described(item)
            points.setdefault(repr(point.ranks), point)
        order = sorted(points.values(), key=lambda p: (p.cycles is None, p.cycles or p.macs, p.parameters))
        return ParetoSet(tuple(order), found.trials)

    def _values(self, network: nn.Module, by: str, progress: Progress) -> Values:
        """Accuracy and the logarithm of each cost; what does not fit costs as if one multiplier did everything."""
        cost = self.cost(network, progress=progress)
        accuracy = self.tuned(network)
        if by == "macs":
            return Values((accuracy, math.log10(cost.macs)))
        if cost.cycles is None or cost.brams is None:
            return Values((accuracy, math.log10(cost.macs), math.log10(2 * (self.device.brams or 1))), allowed=False)
        return Values((accuracy, math.log10(cost.cycles), math.log10(max(cost.brams, 1))))

    def _described(self, item: Found) -> Point:
        """A point of the study with what its values leave out; its accuracy is the study's."""
        ranks = self.ranks(item.ranks)
        network = self.compressed(ranks)
        cost = self.cost(network)
        count = sum(parameter.numel() for parameter in network.parameters())
        return Point(ranks, item.values[0], cost.cycles, cost.brams, cost.macs, count, item.number)
