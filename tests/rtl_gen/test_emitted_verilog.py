"""What others say of the emitted Verilog: four linters, and Icarus Verilog, to which what nobody set is unknown."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from qtt_hw.children import Children, run
from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Edge, Graph, InputSpec, Node, Pool
from qtt_hw.graph.file import load
from qtt_hw.window import Window
from rtl_gen.emit import TOP, emit
from rtl_gen.families import ECP5, ICE40, device
from rtl_gen.manifest import Manifest
from rtl_gen.multiplier import LaneKind
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.lanes import with_lanes
from rtl_gen.plan.plan import Plan, load_plan
from rtl_gen.plan.search import plan
from sim.icarus import Generation, available, compile_icarus, run_icarus, without_initial_values
from sim.job import Job, Outcome
from sim.stalls import pattern
from sim.toolchain import environment
from sim.transfers import outcome

WAIVERS = tomllib.loads(Path(__file__).with_name("lint_waivers.toml").read_text(encoding="utf-8"))
SIGNED, LOGITS, WEIGHT = Format(6, True, 0), Format(16, True, 0), Format(4, True, 0, narrow=True)

needs_icarus = pytest.mark.skipif(not available(), reason="Icarus Verilog is missing: apt-get install iverilog")


def contraction(name: str, source: str, edge: Edge, made: int, window: Window, out: Requantizer) -> Contraction:
    weight = np.random.default_rng(len(name)).integers(-7, 8, (made, *window.kernel, edge.channels))
    return Contraction(name, (source,), "net", window, as_integers(weight), WEIGHT, out)


def pools() -> Graph:
    """Averages and maxima with a ring, whose windows overlap, and without."""
    edge = Edge((2, 4, 4, 1), Format(1, False, 0))
    affine = Requantizer(Format(6, False, 0), 4, tuple(range(90, 122, 8)), tuple(range(-200, 200, 100)))
    nodes: list[Node] = [
        contraction("convolution", INPUT, edge, 4, Window((1, 3, 1), padding=((0, 0), (1, 1), (0, 0))), affine),
        Pool("rolling", ("convolution",), "net", "average", Window((1, 2, 1))),
        Pool("highest", ("rolling",), "net", "max", Window((1, 2, 1))),
        Pool("average", ("highest",), "net", "average", Window((2, 2, 1), (2, 2, 1))),
        Pool("maximum", ("average",), "net", "max", Window((1, 1, 2), (1, 1, 2))),
    ]
    head = contraction("head", "maximum", Edge((1, 1, 2, 4), affine.out), 3, Window((1, 1, 2)), Requantizer(LOGITS, 0))
    return Graph("pools", InputSpec(edge, edge.shape), (*nodes, head))


def residual() -> Graph:
    """Sums of a stream and what a convolution makes of it: one waits in block RAM, the other in LUTs."""
    edge = Edge((1, 4, 35, 2), Format(4, True, 0))
    along_h = Window((1, 5, 1), padding=((0, 0), (2, 2), (0, 0)))
    fmt = edge.format
    nodes = (
        contraction("along_h", INPUT, edge, 2, along_h, Requantizer(fmt, 3)),
        Add.aligned("first", ("along_h", INPUT), "net", fmt, fmt, fmt),
        contraction("point", "first", edge, 2, Window(), Requantizer(fmt, 3)),
        Add.aligned("second", ("point", "first"), "net", fmt, fmt, fmt),
        contraction("head", "second", edge, 2, Window(edge.shape[:3]), Requantizer(LOGITS, 0)),
    )
    return Graph("residual", InputSpec(edge, edge.shape), nodes)


def coded() -> Graph:
    """Powers of two in a convolution with batch norm, and in the cores of a tensor train."""
    edge = Edge((2, 2, 2, 1), Format(1, False, 0))
    rng = np.random.default_rng(3)
    norm = Requantizer(Format(6, False, 0), 14, tuple(range(700, 1300, 100)), tuple(range(-9000, 9000, 3000)))
    nodes: list[Node] = []
    for name, channels, book, out, carried in (
        ("dense", (1, 6), Codebook.of_top(4, False, 0), norm, (1, 1)),
        ("in", (3, 4), Codebook.of_top(3, True, 0), Requantizer(SIGNED, 3), (1, 2)),
        ("head", (8, 5), Codebook.of_top(5, True, 0), Requantizer(LOGITS, 4), (1, 1)),
    ):
        window = Window(edge.shape[:3]) if name == "head" else Window()
        powers = [sign << e for e in range(book.magnitudes) for sign in (1, -1)]
        weight = rng.choice(powers, (channels[1], *window.kernel, channels[0]))
        nodes.append(
            Contraction(
                name, (nodes[-1].name if nodes else INPUT,), "net", window, as_integers(weight), book, out, *carried
            )
        )
    return Graph("coded", InputSpec(edge, edge.shape), tuple(nodes))


def paired() -> Graph:
    """A convolution and a head, for an iCE40: two lanes a multiplier, and a ring in a memory of one port."""
    edge = Edge((1, 4, 4, 2), Format(4, False, 0))
    along_h = Window((1, 3, 1), padding=((0, 0), (1, 1), (0, 0)))
    body = contraction("body", INPUT, edge, 3, along_h, Requantizer(Format(4, False, 0), 3))
    head = contraction(
        "head", "body", Edge((1, 4, 4, 3), body.requant.out), 3, Window((1, 4, 4)), Requantizer(LOGITS, 0)
    )
    return Graph("paired", InputSpec(edge, edge.shape), (body, head))


def paced(graph: Graph, found: Plan) -> Plan:
    """The plan of `paired` with the head's ring in a memory of one port."""
    changed = {"body": {"multiplier": "dual"}, "head": {"ports": 1}}
    foldings = [(s.stage, s.folding.model_copy(update=changed[s.stage])) for s in found.stages]
    return derived(graph, stage_specs(graph, foldings, ICE40), found.device, found.clock_mhz)


def gathered(graph: Graph, found: Plan) -> Plan:
    """The plan of the residual network with a sum that gathers words of two values, and a head that has them split."""
    changed = {
        "point": {"pe": 1, "lanes": 1},
        "second": {"simd": 2, "pe": 2, "lanes": 2},
        "head": {"simd": 1, "multiplier": "dsp"},
    }
    foldings = [(s.stage, s.folding.model_copy(update=changed.get(s.stage, {}))) for s in found.stages]
    return derived(graph, stage_specs(graph, foldings, ECP5), found.device, found.clock_mhz)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory, network: Graph, carried: Graph) -> Callable[[str], Path]:
    """The BUILD folder of a design of DESIGNS."""
    root = tmp_path_factory.mktemp("designs")

    def build(name: str) -> Path:
        graph = {"stages": network, "carried": carried}.get(name) or globals()[name.split()[0]]()
        folder = root / name.replace(" ", "_")
        if not folder.is_dir():
            small = name == "paired"
            found = plan(graph, device("up5k" if small else "ecp5-25f"), fps=200_000 if small else None)
            found = with_lanes(graph, found, "logic") if name == "coded logic" else found
            if name == "paired":
                found = paced(graph, found)
            if name == "residual":
                found = gathered(graph, found)
                assert {ECP5.memory.uses_block(fifo.depth) for fifo in found.fifos} == {False, True}
            emit(graph, folder, found, taps=True)
        return folder

    return build


#: Together they hold every kind of stage, of lanes and of what stands between stages: see the test of that.
DESIGNS = ("stages", "carried", "pools", "residual", "coded", "coded logic", "paired")
SLOW = ("stages", "carried")


def kinds(build: Path) -> set[str]:
    """What stands in a design."""
    text, graph = (build / "design.v").read_text(), load(build / "model.qtt")
    nodes = {node.name: node for node in graph.nodes}
    found = set(re.findall(rf"^module {TOP}__\w+?__(fork|fifo|split|gather) ", text, re.MULTILINE))
    for stage in load_plan(build / "plan.json").stages:
        node, ring = nodes[stage.stage], " with a ring" if stage.folding.ring else ""
        found |= {"ring of one port"} if stage.folding.ports == 1 else set()
        if isinstance(node, Contraction):
            found |= {f"{stage.folding.multiplier} lanes"} | ({"carried"} if node.lead * node.trail > 1 else set())
        else:
            found.add(f"{node.kind}{ring}" if isinstance(node, Pool) else type(node).__name__)
    return found


def test_the_designs_hold_every_kind(builds):
    units = {"fork", "fifo", "split", "gather", "Add", "Permutation", "carried", "ring of one port"}
    lanes = {f"{kind} lanes" for kind in get_args(LaneKind)}
    pools = {"max", "average", "max with a ring", "average with a ring"}
    assert set().union(*(kinds(builds(name)) for name in DESIGNS)) == units | lanes | pools


def sources(build: Path) -> list[str]:
    return [str(build / name) for name in Manifest.load(build).sources.simulation]


def verilator(build: Path) -> list[str]:
    command = ["verilator", "--lint-only", "-Wall", "--top-module", TOP, *sources(build)]
    done = run(command, cwd=build, env=environment())
    found = re.findall(r"^%(?:Warning|Error)(?:-(\w+))?: \S+ (.*)$", done.stderr, re.MULTILINE)
    # of the numbers of bits that differ only an operator's kind is told apart
    kinds = [f"{kind} {text.split(' expects ')[0]}" if kind == "WIDTHTRUNC" else kind or text for kind, text in found]
    return [kind for kind in kinds if not kind.startswith("due to")]


def slang(build: Path) -> list[str]:
    script = """
import sys
from pyslang import driver
found = driver.Driver()
found.addStandardArgs()
assert found.parseCommandLine(sys.argv[1]) and found.processOptions() and found.parseAllSources()
compilation = found.createCompilation()
found.reportCompilation(compilation, False)
found.runAnalysis(compilation)
found.reportDiagnostics(False)
"""
    arguments = f"slang -Weverything --top {TOP} {' '.join(sources(build))}"
    done = run([sys.executable, "-c", script, arguments], cwd=build, env=os.environ)
    assert done.returncode == 0 or "error:" in done.stderr, done.stderr
    return re.findall(r"(?:warning|error): .*?(?:\[-W([\w-]+)\])?$", done.stdout + done.stderr, re.MULTILINE)


def iverilog(build: Path) -> list[str]:
    found = []
    for generation in get_args(Generation):
        command = ["iverilog", "-Wall", f"-g{generation}", "-s", TOP, "-o", os.devnull, *sources(build)]
        found += run(command, cwd=build, env=os.environ).stderr.splitlines()
    return found


def yosys(build: Path) -> list[str]:
    script = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    libyosys.run_pass(line, design)
"""
    commands = [f"read_verilog -sv {' '.join(sources(build))}", f"hierarchy -check -top {TOP}", "proc", "check -assert"]
    done = run([sys.executable, "-c", script, *commands], cwd=build, env=os.environ)
    found = re.findall(r"^(?:Warning|ERROR): (.*)$", done.stdout + done.stderr, re.MULTILINE)
    assert (done.returncode == 0) or found, done.stderr
    return found


def missing(package: str) -> bool:
    return importlib.util.find_spec(package) is None


LINTERS = [
    verilator,
    pytest.param(slang, marks=pytest.mark.skipif(missing("pyslang"), reason="pyslang is missing: pip install pyslang")),
    pytest.param(iverilog, marks=needs_icarus),
    yosys,
]


@pytest.mark.parametrize("linter", LINTERS)
def test_linters_report_nothing_but_what_is_waived_and_every_waiver_is_needed(builds, linter):
    waived = WAIVERS[linter.__name__]
    assert all(waived.values()), "a waiver says why"
    assert {kind for name in DESIGNS for kind in linter(builds(name))} == set(waived)


@pytest.mark.parametrize(
    ("linter", "line"),
    [
        (verilator, "wire [1:0] short = {i__payload, 2'd0};"),
        (slang, "wire [1:0] short = {i__payload, 2'd0};"),
        (iverilog, "wire [1:0] short; assign short[2] = i__valid;"),
        (yosys, "wire twice; assign twice = i__valid; assign twice = o__ready;"),
    ],
)
def test_a_mistake_is_reported(builds, tmp_path, linter, line):
    build = shutil.copytree(builds("coded"), tmp_path / "build")
    text = (build / "design.v").read_text()
    (build / "design.v").write_text(text.replace("endmodule", f"  {line}\nendmodule", 1))
    assert set(linter(build)) - set(WAIVERS[linter.__name__])


def simulated(build: Path, count: int, generation: Generation, unknown: bool = True, stalls: str = "none") -> Outcome:
    manifest = Manifest.load(build)
    graph = load(build / manifest.model)
    low, high = graph.input.edge.format.minimum, graph.input.edge.format.maximum
    x = np.random.default_rng(1).integers(low, high + 1, (count, *graph.input.edge.shape))
    job = Job(build, manifest, graph, x, 0, pattern(stalls), pattern(stalls), seed=1, watchdog=20_000)
    program = compile_icarus(build, manifest, generation=generation, unknown=unknown)
    return outcome(job, run_icarus(job, program, Children()), lambda samples: None)


@needs_icarus
@pytest.mark.parametrize(
    ("name", "generation"),
    [
        pytest.param(name, generation, marks=[pytest.mark.long] if name in SLOW and generation == "2005" else [])
        for name in DESIGNS
        for generation in get_args(Generation)
    ],
)
def test_icarus_agrees_though_nothing_starts_with_a_value(builds, name, generation):
    build = builds(name)
    assert (
        re.search(r"^  initial \S+ = ", without_initial_values((build / "design.v").read_text()), re.MULTILINE) is None
    )
    found = simulated(build, 2, generation)
    assert found.failure is None and found.difference is None
    predicted = Manifest.load(build).predicted
    assert found.relative_ends == (predicted.end(0), predicted.end(1))


@needs_icarus
@pytest.mark.parametrize("generation", get_args(Generation))
def test_icarus_agrees_with_the_design_as_it_is_written_and_under_stalls(builds, generation):
    assert simulated(builds("coded"), 3, generation, unknown=False).equal
    assert simulated(builds("coded"), 3, generation, stalls="bursty").equal


@needs_icarus
def test_a_memory_that_is_read_before_it_is_written_is_seen(builds, tmp_path):
    build = shutil.copytree(builds("coded"), tmp_path / "build")
    text = (build / "design.v").read_text()
    changed, count = re.subn(r"contents\[(write_\w+)\] <= ", r"contents[\1 | 1'b1] <= ", text, count=1)
    assert count == 1
    (build / "design.v").write_text(changed)
    found = simulated(build, 1, "2012")
    assert found.failure is not None and found.failure.endswith("a bit of an output is unknown (x or z)")
