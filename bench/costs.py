"""What plans say that designs cost, beside what yosys makes of them: LUTs and flip-flops of networks and of units.

    python -m bench.costs
    python -m bench.costs W1 "resnet20-cifar10 500" --units
    python -m bench.costs "engine of 32 lanes" --units
    python -m bench.costs --recorded

Committed models are planned for the device and rate of their row in results/proof.json; of W1 to W3 of
`bench.datapath` it is one stage; engines are of all stages of the ModelNet10 network but the first and the last. LUTs
are counted as `rtl_gen.families.Resources` says. With --units each unit of each stage is synthesised by itself too,
with those within it: there an output that nobody reads stays. With --recorded nothing is synthesised: cells are those
that results/proof.json has of each plan.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.datapath import STAGE, WORKLOADS
from bench.proof import CELLS
from bench.report import figures
from bench.rows import rows_of
from boards.synthesis import synthesise
from qtt_hw.graph import Graph
from qtt_hw.graph.file import load
from qtt_hw.process import run_command
from qtt_hw.progress import Progress, silent
from rtl_gen.argmax import argmax_resources
from rtl_gen.emit import TOP, emit
from rtl_gen.engine.choices import engine_of
from rtl_gen.engine.segment import Segment
from rtl_gen.families import ECP5, Family, Resources, device, family_named
from rtl_gen.identifiers import identifiers
from rtl_gen.kinds import Folding, Spec
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import hardware_of, stage_specs
from rtl_gen.plan.plan import AnyFolding, Plan, UnitName
from rtl_gen.plan.search import plan

MODELS, PROOF = Path("models"), Path("results/proof.json")
#: Parallel inputs and results of arrays, and what the engine's unit is called.
ARRAYS = ((4, 4), (8, 4), (8, 8), (16, 16))
ENGINE = "features_block2_conv_in_engine"


@dataclass(frozen=True)
class Case:
    """A design: its graph with its plan, and the stage that is counted; None counts the whole network.

    `recorded` is its row of `bench.proof`.
    """

    planned: Callable[[], tuple[Graph, Plan]]
    stage: str | None = None
    recorded: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Cost:
    """LUTs and flip-flops as planned and as synthesised."""

    name: str
    planned: Resources
    luts: int
    ffs: int

    def shown(self) -> str:
        apart = [100 * (a / max(b, 1) - 1) for a, b in ((self.planned.luts, self.luts), (self.planned.ffs, self.ffs))]
        return (
            f"{self.name:<44} LUT {self.planned.luts:>6} {self.luts:>6} {apart[0]:>+6.1f} %"
            f"   FF {self.planned.ffs:>6} {self.ffs:>6} {apart[1]:>+6.1f} %"
        )

    def record(self) -> dict[str, str | int]:
        """For machines."""
        planned = {"planned_luts": self.planned.luts, "planned_ffs": self.planned.ffs}
        return {"name": self.name, **planned, "luts": self.luts, "ffs": self.ffs}


def cases() -> dict[str, Case]:
    """By name: the stages of `bench.datapath`; of the committed models, by their file, the plans that proofs have."""
    found = {name: Case(WORKLOADS[name].planned, STAGE) for name in ("W1", "W2", "W3")}
    for simd, pe in ARRAYS:
        found[f"engine of {simd * pe} lanes"] = Case(partial(_engine, simd, pe), ENGINE)
    proven = list(rows_of(PROOF))
    for path in sorted(MODELS.glob("*.qtt")):
        graph = load(path)
        for row in proven:
            if row["model"] == graph.name:
                rate, engines = row["fps"], bool(row.get("engines"))
                name = f"{path.stem} {'fastest' if rate is None else f'{rate:g}'}{' engines' if engines else ''}"
                found[name] = Case(partial(_planned, graph, row["device"], rate, engines), recorded=row)
    return found


def _recorded(row: Mapping[str, Any]) -> dict[str, int]:
    """The cells of the plan in a row of `bench.proof`, by their types in a netlist."""
    cells = row["cells"]["as planned"]
    return {cell: cells[name] for name, cell in CELLS.items()}


def _engine(simd: int, pe: int) -> tuple[Graph, Plan]:
    """The ModelNet10 network with an engine of an array."""
    graph = load(MODELS / "voxtt-modelnet10.qtt")
    first, *inner, last = (node.name for node in graph.nodes if not node.relabels)
    engine = engine_of(Segment.of(graph, inner), simd, pe, ECP5)
    alone = Folding(simd=8, pe=4, lanes=4, ring=2048, queue=32, multiplier="logic")
    behind = Folding(simd=1, pe=1, lanes=1, ring=64, queue=16)
    foldings: list[tuple[UnitName, AnyFolding]] = [(first, alone), (tuple(inner), engine.folding), (last, behind)]
    return graph, derived(graph, stage_specs(graph, foldings, ECP5), "none", 100.0)


def _planned(graph: Graph, name: str, fps: float | None, engines: bool) -> tuple[Graph, Plan]:
    return graph, plan(graph, device(name), fps=fps, engines=engines)


def accelerator(graph: Graph, found: Plan) -> Resources:
    """What a plan says of the accelerator alone, without a board's top level and link."""
    between = Resources(luts=found.link_luts, ffs=found.link_ffs)
    fifos = (Resources(brams=fifo.brams, luts=fifo.luts, ffs=fifo.ffs) for fifo in found.fifos)
    specs, _ = hardware_of(graph, found)
    stages = (spec.resources() for spec in specs)
    argmax = family_named(found.family).fit.of(argmax_resources(specs[-1].out))
    return sum((*stages, *fifos, argmax), between)


def counted(cells: Mapping[str, int], family: Family = ECP5) -> tuple[int, int]:
    """LUTs and flip-flops of a netlist."""
    found = family.counted(cells)
    return found.luts, found.ffs


def compared(
    name: str, graph: Graph, found: Plan, stage: str | None = None, *, units: bool = False, progress: Progress = silent
) -> Iterator[Cost]:
    """The whole design, or one stage of it, and with `units` what stands in each stage, by itself."""
    family = family_named(found.family)
    specs, _ = hardware_of(graph, found)
    named = dict(zip(identifiers([spec.name for spec in specs]), specs, strict=True))
    with tempfile.TemporaryDirectory(prefix="costs-") as temporary:
        folder = Path(temporary)
        manifest = emit(graph, folder / "build", found, progress=progress)
        sources = [folder / "build" / source for source in manifest.sources.of(family)]

        def cells(module: str) -> tuple[int, int]:
            work = folder / module
            work.mkdir()
            return counted(synthesise(sources, module, work, family, progress=progress), family)

        if stage is None:
            yield Cost(name, accelerator(graph, found), *cells(TOP))
        else:
            yield Cost(name, named[stage].resources(), *cells(f"{TOP}__{stage}"))
        if units:
            modules = (folder / "build" / "design.v").read_text(encoding="utf-8")
            for identifier, spec in named.items():
                if stage in (None, identifier):
                    for path, cost in _units(spec):
                        module = f"{TOP}__{identifier}__{path.replace('.', '__')}"
                        if f"module {module}(" in modules or f"module {module} (" in modules:
                            yield Cost(f"{identifier}.{path}", cost, *cells(module))


def _units(spec: Spec) -> Iterator[tuple[str, Resources]]:
    """The units of a stage by path, each with those within it."""
    parts = spec.parts()
    for path in filter(None, parts):
        yield path, sum((cost for other, cost in parts.items() if f"{other}.".startswith(f"{path}.")), Resources())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=(__doc__ or "").splitlines()[0])
    known = cases()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all when left out")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--units", action="store_true", help="each unit of each stage by itself, too")
    how.add_argument("--recorded", action="store_true", help="beside the cells in results/proof.json")
    parser.add_argument("--json", action="store_true", help="an object a line")
    given = parser.parse_args()
    if given.recorded:
        known = {name: case for name, case in known.items() if case.recorded is not None}
    unknown = [name for name in given.names if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such design; there are {', '.join(known)}")
    if not given.json:
        print(f"{'':<44} LUT plan  yosys            FF plan  yosys")
    for name in given.names or known:
        case = known[name]
        graph, found = case.planned()
        costs: Iterable[Cost]
        if given.recorded:
            row = case.recorded or {}
            if any(row["plan"][key] != value for key, value in figures(found).items() if key in row["plan"]):
                print(f"{name}: the row is of another plan; prove it again", file=sys.stderr)
                continue
            costs = [Cost(name, accelerator(graph, found), *counted(_recorded(row), family_named(found.family)))]
        else:
            costs = compared(name, graph, found, case.stage, units=given.units)
        for cost in costs:
            print(json.dumps(cost.record()) if given.json else cost.shown(), flush=True)


if __name__ == "__main__":
    sys.exit(run_command("bench.costs", main, whole=True))
