"""Designs at fixed plans, with the digest of their Verilog: what a change of the generator's structure may not move.

`python -m tests.replay.replay` writes designs.json anew, with the foldings that stand there; those of a network in
networks.py that has none yet are searched for. The digests hold for the versions in constraints.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from qtt_hw.graph import Graph
from qtt_hw.graph.file import load
from rtl_gen.emit import verilog_of
from rtl_gen.families import ECP5, device
from rtl_gen.kinds import Folding
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.plan import Plan, load_plan
from rtl_gen.plan.search import plan
from rtl_gen.top import Top
from rtl_gen.topology import Topology
from tests.replay.networks import NETWORKS

__all__ = ["DESIGNS", "Design", "other_versions"]

HERE = Path(__file__).parent
MODELS = HERE.parents[1] / "models"


@dataclass(frozen=True)
class Design:
    """A network or a committed model at a plan.

    Parameters
    ----------
    name : str
        Of a network in networks.py, or a file in models/.
    taps : bool
    input_lanes : int
    foldings : dict
        Every stage's, in the network's order.
    fifos : tuple of (stage, input, depth)
    digest : str
        SHA-256 of its Verilog.
    """

    name: str
    taps: bool
    input_lanes: int
    foldings: dict[str, Folding]
    fifos: tuple[tuple[str, int, int], ...]
    digest: str = ""

    @property
    def is_model(self) -> bool:
        return self.name.endswith(".qtt")

    @property
    def graph(self) -> Graph:
        return load(MODELS / self.name) if self.is_model else NETWORKS[self.name]()

    def verilog_digest(self) -> str:
        """SHA-256 of the Verilog as it is now."""
        graph = self.graph
        specs = stage_specs(graph, list(self.foldings.items()), ECP5)
        topology = Topology.of(graph, {(stage, number): depth for stage, number, depth in self.fifos})
        text = verilog_of(Top(specs, self.input_lanes, topology, taps=self.taps))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def of(cls, name: str, found: Plan, taps: bool) -> Design:
        """At the foldings of a plan."""
        foldings = {stage.stage: stage.folding for stage in found.stages}
        fifos = tuple((fifo.stage, fifo.input, fifo.depth) for fifo in found.fifos)
        return cls(name, taps, found.input_lanes, foldings, fifos)


def _read() -> dict[str, Design]:
    file = HERE / "designs.json"
    content = json.loads(file.read_text()) if file.is_file() else {}
    for entry in content.values():
        entry["foldings"] = {name: Folding(**folding) for name, folding in entry["foldings"].items()}
        entry["fifos"] = tuple(map(tuple, entry["fifos"]))
    return {key: Design(**entry) for key, entry in content.items()}


#: By what they are called in tests.
DESIGNS = _read()


def other_versions() -> list[str]:
    """What is installed in another version than the digests hold for."""
    lines = (HERE / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    installed = {name: metadata.version(name) for name in pinned}
    return [f"{name} {version}" for name, version in installed.items() if version != pinned[name]]


def _planned() -> Iterator[tuple[str, Design]]:
    """Networks without foldings as fast as a small device allows, with taps, and at a fifth of that."""
    small = device("ecp5-12f")
    known = {design.name for design in DESIGNS.values()}
    for name, make in NETWORKS.items():
        if name in known:
            continue
        fastest = plan(make(), small)
        yield f"{name}-fastest", Design.of(name, fastest, taps=True)
        slow = plan(make(), small, fps=float(fastest.frames_per_second) / 5)
        yield f"{name}-slow", Design.of(name, slow, taps=False)


def main() -> None:
    """Write designs.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs=2, action="append", default=[], metavar=("MODEL.qtt", "PLAN.json"))
    options = parser.parse_args()
    designs = {key: design for key, design in DESIGNS.items() if not design.is_model} | dict(_planned())
    designs |= {key: design for key, design in DESIGNS.items() if design.is_model}
    designs |= {name: Design.of(name, load_plan(Path(file)), taps=False) for name, file in options.model}
    lines = []
    for key, design in designs.items():
        content = vars(design) | {"digest": design.verilog_digest()}
        content["foldings"] = {name: folding.model_dump() for name, folding in design.foldings.items()}
        lines.append(f"{json.dumps(key)}: {json.dumps(content)}")
        print(key, content["digest"][:12], flush=True)
    (HERE / "designs.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
