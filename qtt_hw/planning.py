"""Planning as Python functions: a model, or a configuration before training, folded onto a device and explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qtt_hw.graph import Graph
from qtt_hw.graph.file import load
from qtt_hw.near import no_network
from qtt_hw.options import NETWORKS
from qtt_hw.progress import Progress, silent

if TYPE_CHECKING:
    from qtt_hw.data import Splits
    from qtt_hw.training.config import Config
    from rtl_gen.families import Device
    from rtl_gen.multiplier import LaneKind
    from rtl_gen.plan.explain import Explanation
    from rtl_gen.plan.plan import Plan
    from rtl_gen.plan.problem import Alternatives, Problem

__all__ = ["ExplainedPlan", "explain_plan", "is_file", "plan"]

#: Input shape (C, D, H, W) of a network.
ChannelsFirst = tuple[int, int, int, int]


class ExplainedPlan(NamedTuple):
    """A plan, and what it is like."""

    plan: Plan
    explanation: Explanation


def plan(
    model: Graph | Config | str | Path,
    device: Device | str = "ecp5-85f",
    *,
    fps: float | None = None,
    clock_mhz: float = 100.0,
    data: Splits | str | Path | None = None,
    input_shape: ChannelsFirst | None = None,
    classes: int | None = None,
    lanes: LaneKind = "shift",
    engines: bool = False,
    progress: Progress = silent,
) -> Plan:
    """The fastest folding that fits a device, or the cheapest that reaches a frame rate, with cycles and costs.

    A stage's folding says how many of its input and output channels are worked on in one cycle.

    Parameters
    ----------
    model : Graph, path of a model.qtt, or a training configuration, its path, `file.py:Net` or a zoo network
        Of all but the first two the untrained network is planned: its cycles, multipliers and memories are those of the
        trained one. Then the path along which each QTTConv3d and TTLinear is contracted is chosen too; train with
        the plan (`qtt train --plan`), since a path changes where roundings happen.
    device : Device or str
        The FPGA; "none" is unbounded.
    fps : float, optional
        Frames a second at `clock_mhz`.
    clock_mhz : float
        In MHz.
    data, input_shape, classes : optional
        Only for an untrained network: the data set, or the network's input shape (C, D, H, W) and number of classes. A
        configuration with options for generated solids needs neither.
    lanes : "shift", "dsp" or "logic"
        With a model: what forms the products of codebooks' weights. Multipliers take the place of the plan's shifts to
        compare the two, whether they fit the device or not.
    engines : bool
        Whether stages may share an array of multipliers: runs of plain contractions, where that is cheaper or faster.
    progress : Progress

    Returns
    -------
    Plan
        With `cycles`, the mean between two inferences; `frames_per_second`; `dsps`, `brams` and `luts`; and by stage
        its folding. `emit` takes it; `rtl_gen.plan.plan.save_plan` writes it to a file.

    Raises
    ------
    DoesNotFit
        By how much, the stage that is in the way, and what fits instead: the fastest plan for a frame rate, a larger
        device, fewer bits of weights or activations. It is a ValueError.
    ValueError
        When the rate, the clock, the device, the model or the configuration is not one.

    References
    ----------
    Umuroglu et al., "FINN: A framework for fast, scalable binarized neural network inference", doi
    10.1145/3020078.3021744, for streams of stages that are folded to one rate.

    Examples
    --------
    >>> import qtt_hw
    >>> plan = qtt_hw.plan("models/voxtt-modelnet10.qtt", "ecp5-85f", fps=1000)
    >>> print(f"{plan.cycles} cycles, {plan.dsps} DSP, {plan.brams} block RAM")
    98304 cycles, 29 DSP, 38 block RAM
    >>> plan.frames_per_second >= 1000
    True
    >>> shared = qtt_hw.plan("models/voxtt-modelnet10.qtt", "ecp5-85f", fps=1000, engines=True)
    >>> [len(engine.stages) for engine in shared.engines], shared.luts < plan.luts / 3
    ([20], True)
    >>> qtt_hw.plan("models/voxtt-modelnet10.qtt", "ecp5-12f", fps=100_000)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    rtl_gen.plan.refusal.DoesNotFit: voxtt-modelnet10: 100000 frames a second at 100 MHz does not fit ecp5-12f ...
    """
    _check_rates(fps, clock_mhz)
    work = _Work.of(model, device, data, input_shape, classes, lanes, engines, progress)
    return work.planned(fps, clock_mhz)


def explain_plan(
    model: Graph | Config | str | Path,
    device: Device | str = "ecp5-85f",
    *,
    fps: float | None = None,
    clock_mhz: float = 100.0,
    data: Splits | str | Path | None = None,
    input_shape: ChannelsFirst | None = None,
    classes: int | None = None,
    lanes: LaneKind = "shift",
    engines: bool = False,
    neighbours: bool = True,
    progress: Progress = silent,
) -> ExplainedPlan:
    """`plan`, with the occupancy of its stages, what sets its rate, why no stage is smaller, and the plans beside it.

    Parameters
    ----------
    model, device, fps, clock_mhz, data, input_shape, classes, lanes, engines
        As of `plan`.
    neighbours : bool
        Search for the next smaller and the next larger plan, which takes about as long as the plan itself. With
        `lanes` in place of shifts there are none.
    progress : Progress

    Returns
    -------
    ExplainedPlan
        `plan`, as from `plan`, and `explanation`: `occupancy` of all lanes, `limit`, by stage its own occupancy and
        `reason`, and `neighbours`.

    Raises
    ------
    ValueError
        As `plan` does.

    Examples
    --------
    >>> import qtt_hw
    >>> plan, explanation = qtt_hw.explain_plan("models/voxtt-modelnet10.qtt", "ecp5-85f", fps=1000)
    >>> f"{explanation.occupancy:.1%} of {explanation.lanes} lanes x {plan.cycles} cycles"
    '74.7% of 76 lanes x 98304 cycles'
    >>> explanation.limit.kind, explanation.limit.stage
    ('stage', 'features.block2.conv.out')
    >>> explanation.stages[0].reason
    'next takes 123 904'
    >>> explanation.neighbours.smaller.cycles, explanation.neighbours.larger.cycles
    (Fraction(131072, 1), Fraction(90136, 1))
    """
    from rtl_gen.plan.explain import explained

    _check_rates(fps, clock_mhz)
    work = _Work.of(model, device, data, input_shape, classes, lanes, engines, progress)
    found = work.planned(fps, clock_mhz)
    return ExplainedPlan(
        found, explained(work.problem, work.device, found, with_neighbours=neighbours, progress=progress)
    )


@dataclass(frozen=True)
class _Work:
    """What is planned, on what, and the network that it would be with other bits."""

    problem: Problem
    device: Device
    lanes: LaneKind
    with_bits: Callable[[str, int], tuple[Graph, Alternatives]]
    progress: Progress

    @classmethod
    def of(
        cls,
        model: Graph | Config | str | Path,
        device: Device | str,
        data: Splits | str | Path | None,
        input_shape: ChannelsFirst | None,
        classes: int | None,
        lanes: LaneKind,
        engines: bool,
        progress: Progress,
    ) -> _Work:
        from rtl_gen.families import device as find_device
        from rtl_gen.families import family_of
        from rtl_gen.plan.fewer_bits import narrowed
        from rtl_gen.plan.problem import Problem

        chosen = find_device(device) if isinstance(device, str) else device
        alternatives: Alternatives = {}
        if not isinstance(model, Graph) and (not isinstance(model, str | Path) or not is_file(model)):
            from qtt_hw.training.config import Config, configuration
            from qtt_hw.training.untrained import untrained

            if lanes != "shift":
                raise ValueError(f"lanes {lanes}: is for a model.qtt, a configuration is planned with shifts")
            config = model if isinstance(model, Config) else configuration(model)
            progress("network", text="its graph, before training")
            before = untrained(config, data, input_shape, classes)

            def with_bits(name: str, bits: int) -> tuple[Graph, Alternatives]:
                if not before.alternatives:  # far sooner made, and as large
                    return narrowed(before.graph, **{name.removesuffix("_bits") + "s": bits}), {}
                changes = {name: bits} | ({"intermediate_bits": bits} if name == "activation_bits" else {})
                found = untrained(config.changed(config.name, {"quant": changes}), data, input_shape, classes)
                return found.graph, found.alternatives

            graph, alternatives = before.graph, before.alternatives
        else:
            graph = model if isinstance(model, Graph) else load(model)

            def with_bits(name: str, bits: int) -> tuple[Graph, Alternatives]:
                return narrowed(graph, **{name.removesuffix("_bits") + "s": bits}), {}

        progress("search", text="the foldings of every stage")
        problem = Problem.of(graph, alternatives, family_of(chosen), engines=engines)
        return cls(problem, chosen, lanes, with_bits, progress)

    def planned(self, fps: float | None, clock_mhz: float) -> Plan:
        from rtl_gen.plan.fewer_bits import FewerBits
        from rtl_gen.plan.lanes import with_lanes
        from rtl_gen.plan.search import DoesNotFit, planned

        problem = self.problem
        try:
            found = planned(problem, self.device, fps=fps, clock_mhz=clock_mhz, progress=self.progress)
        except DoesNotFit as refusal:
            texts, fits = self._with_engines(fps, clock_mhz)
            if not fits:
                most = None if fps is None else int(clock_mhz * 1e6 / fps)
                fewer = FewerBits(self.with_bits, self.device, most, clock_mhz, self.progress)
                texts += fewer.that_fit(problem.graph, problem.alternatives)
            raise DoesNotFit("; ".join([str(refusal), *texts])) from None
        return found if self.lanes == "shift" else with_lanes(problem.graph, found, self.lanes)

    def _with_engines(self, fps: float | None, clock_mhz: float) -> tuple[list[str], bool]:
        """Whether it fits where stages may share arrays, in words unless that was allowed already."""
        from rtl_gen.plan.search import with_engines

        if self.problem.engines is not None:
            return [], False
        self.progress("engines", text="it does not fit; trying with engines")
        found = with_engines(self.problem, self.device, fps=fps, clock_mhz=clock_mhz, progress=self.progress)
        if found is None:
            return ["engines (--engines) do not help"], False
        rate = f"{found.frames_per_second:.0f} frames a second"
        return [f"with engines (--engines) it fits, at {float(found.cycles):.0f} cycles, {rate}"], True


def is_file(model: str | Path) -> bool:
    """Whether a model is named by its file, not as a configuration, `file.py:Net` or a network of the zoo.

    Raises ValueError for a name that is none of these.
    """
    text = str(model)
    if text.endswith(".toml") or ".py:" in text:
        return False
    if text.endswith(".qtt") or (Path(text).exists() and not text.endswith(".py")):
        return True
    if text in NETWORKS:
        return False
    raise no_network(text, NETWORKS, "a model.qtt", "a .toml")


def _check_rates(fps: float | None, clock_mhz: float) -> None:
    from rtl_gen.plan.plan import CLOCKS, RATES

    for name, value, (least, most) in (("fps", fps, RATES), ("clock_mhz", clock_mhz, CLOCKS)):
        if value is not None and not least <= value <= most:
            raise ValueError(f"{name} must be from {least:g} to {most:g}, got {value:g}")
