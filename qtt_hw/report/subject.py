"""What is reported: a model, a BUILD or a run, as a graph under a plan, with what was made of it so far."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from boards.build import BuildResult
from qtt_hw.errors import named
from qtt_hw.graph import Graph
from qtt_hw.graph.file import digest_of, load, save
from qtt_hw.progress import Progress, silent
from qtt_hw.reading import read_json
from rtl_gen.activity import SteadyActivity, steady_activity
from rtl_gen.families import Device, Family, family_named
from rtl_gen.families import device as find_device
from rtl_gen.kinds import Spec
from rtl_gen.manifest import NAME as MANIFEST
from rtl_gen.manifest import Manifest
from rtl_gen.plan.explain import Explanation, explained
from rtl_gen.plan.fewer_bits import Saving, savings
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.plan import EnginePlan, Plan, StagePlan, load_plan
from rtl_gen.plan.problem import Problem
from rtl_gen.plan.search import plan as make_plan
from rtl_gen.plan.verify import verified
from rtl_gen.topology import Topology

if TYPE_CHECKING:
    from qtt_hw.lower.prepared import PreparedModel

__all__ = ["Placed", "Subject", "subject_of"]

#: The device that a model or a run is planned for, where none is named; as of `qtt plan`.
DEVICE = "ecp5-85f"
#: And the clock.
CLOCK_MHZ = 100.0


@dataclass(frozen=True)
class Placed:
    """What `qtt build` left in a BUILD for one board."""

    folder: Path
    result: BuildResult


@dataclass(frozen=True)
class Subject:
    """A network as hardware, and where it came from.

    Parameters
    ----------
    path : Path
        That was named.
    kind : "model", "build" or "run"
    graph : Graph
    digest : str
        Of the model.
    plan : Plan
    plan_file : Path, optional
        That the plan was read from; else it was made for the report.
    explanation : Explanation
    fps : float, optional
        That a plan was made for here.
    saved : tuple of Saving
        What a bit less would save.
    placed : tuple of Placed
        The bitstreams of a BUILD.
    run : dict, optional
        What a run's result.json says.
    prepared : PreparedModel, optional
        The model that a run's graph was frozen from.
    """

    path: Path
    kind: Literal["model", "build", "run"]
    graph: Graph
    digest: str
    plan: Plan
    plan_file: Path | None
    explanation: Explanation
    fps: float | None = None
    saved: tuple[Saving, ...] = ()
    placed: tuple[Placed, ...] = ()
    run: dict[str, Any] | None = None
    prepared: PreparedModel | None = None

    @property
    def device(self) -> Device:
        return find_device(self.plan.device)

    @property
    def family(self) -> Family:
        return family_named(self.plan.family)

    @cached_property
    def hardware(self) -> tuple[list[Spec], Topology]:
        return hardware_of(self.graph, self.plan)

    @property
    def specs(self) -> list[Spec]:
        return self.hardware[0]

    @property
    def topology(self) -> Topology:
        return self.hardware[1]

    @property
    def classes(self) -> int:
        out = self.graph.output
        return out.positions * out.channels

    @cached_property
    def activity(self) -> SteadyActivity:
        specs, topology = self.hardware
        given = {"classes": self.classes, "topology": topology, "prediction": self.plan.predicted}
        return steady_activity(specs, self.plan.input_lanes, **given)  # type: ignore[arg-type]

    def name(self, stage: int) -> str:
        """What a stage is called, by number; `SOURCE` is the input, and behind the last there is the argmax."""
        if stage < 0:
            return "input"
        return self.specs[stage].name if stage < len(self.specs) else "argmax"

    @property
    def units(self) -> list[StagePlan | EnginePlan]:
        """What the plan says of each of `specs`."""
        return [self.plan.units[spec.name] for spec in self.specs]


def subject_of(
    source: str | Path,
    *,
    device: str | None = None,
    fps: float | None = None,
    clock_mhz: float | None = None,
    plan: str | Path | None = None,
    neighbours: bool = True,
    progress: Progress = silent,
) -> Subject:
    """What a path names, planned where it is not.

    Parameters
    ----------
    source : path
        A model.qtt, a BUILD folder, or the folder of a finished run.
    device, fps, clock_mhz
        As of `qtt_hw.plan`; for a model or a run without a plan.
    plan : path, optional
        A plan of the model.
    neighbours : bool
        Look for the plans beside it, and for what bits would save, which takes as long as planning.
    progress : Progress

    Raises
    ------
    ValueError
        One line that names the path or the option.
    """
    path = Path(source)
    kind = _kind(path)
    given = {"device": device, "fps": fps, "clock_mhz": clock_mhz, "plan": plan}
    if kind == "build" and any(value is not None for value in given.values()):
        name, value = next((n, v) for n, v in given.items() if v is not None)
        raise ValueError(f"{name} {value}: is for a model or a run; the BUILD {path} has its own plan")
    if plan is not None:
        for name in ("device", "fps", "clock_mhz"):
            if given[name] is not None:
                raise ValueError(f"{name} {given[name]}: stands in the plan {plan}; give one of both")
    progress("model", text=str(path))
    graph, digest, plan_file, run, prepared = _read(path, kind)
    plan_file = Path(plan) if plan is not None else plan_file
    target = find_device(device or DEVICE)
    if plan_file is not None:
        found = verified(graph, load_plan(plan_file), str(plan_file), progress)
        target = find_device(found.device)
    else:
        found = make_plan(
            graph, target, fps=fps, clock_mhz=CLOCK_MHZ if clock_mhz is None else clock_mhz, progress=progress
        )
    problem = Problem.of(graph, {}, family_named(found.family), engines=bool(found.engines))
    explanation = explained(problem, target, found, with_neighbours=neighbours, progress=progress)
    return Subject(
        path=path,
        kind=kind,
        graph=graph,
        digest=digest,
        plan=found,
        plan_file=plan_file,
        explanation=explanation,
        fps=fps,
        saved=savings(problem, target, found, progress) if neighbours else (),
        placed=_placed(path) if kind == "build" else (),
        run=run,
        prepared=prepared,
    )


def _kind(path: Path) -> Literal["model", "build", "run"]:
    if path.is_file():
        return "model"
    if (path / MANIFEST).is_file():
        return "build"
    if (path / "run.json").is_file():
        return "run"
    if path.is_dir():
        raise ValueError(f"{path}: is neither a BUILD that qtt emit wrote nor a run of qtt train")
    raise ValueError(f"{path}: there is no such model, BUILD or run")


def _read(path: Path, kind: str) -> tuple[Graph, str, Path | None, dict[str, Any] | None, PreparedModel | None]:
    """(graph, digest, the plan's file, a run's result and model)."""
    if kind == "model":
        return load(path), digest_of(path), None, None, None
    if kind == "build":
        manifest = Manifest.load(path)
        return load(path / manifest.model), digest_of(path / manifest.model), path / manifest.plan, None, None
    from qtt_hw.lower.freeze import freeze
    from qtt_hw.training.run import load_run

    prepared, config, spec, labels = load_run(path)
    graph = freeze(prepared, spec, labels, config.name)
    with tempfile.TemporaryDirectory(prefix="qtt-report-") as folder:
        digest = save(graph, Path(folder) / "model.qtt")
    with named(path / "result.json"):
        result = json.loads((path / "result.json").read_bytes())
    return graph, digest, None, result if isinstance(result, dict) else None, prepared


def _placed(build: Path) -> tuple[Placed, ...]:
    found = []
    for file in sorted(build.glob("*/result.json")):
        found.append(Placed(file.parent, read_json(file, BuildResult)))
    return tuple(found)
