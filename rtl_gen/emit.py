"""From a graph and a plan to a BUILD folder: Verilog, primitives, the model, the plan and a manifest.

The folder is whole or absent, and takes the place of a BUILD folder only: see `qtt_hw.folders`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal, get_args

from amaranth.back import verilog

from qtt_hw import versions
from qtt_hw.errors import named
from qtt_hw.files import write_file
from qtt_hw.folders import BUILD, folder_writer, refuse_foreign
from qtt_hw.graph import Graph
from qtt_hw.graph.file import digest_of, load, save
from qtt_hw.near import unknown
from qtt_hw.progress import Progress, silent
from rtl_gen.argmax import output_layout
from rtl_gen.contents import refuse_difference
from rtl_gen.engine.spec import EngineSpec
from rtl_gen.families import contents_in, family_named
from rtl_gen.families import device as find_device
from rtl_gen.kinds import Spec
from rtl_gen.manifest import NAME as MANIFEST
from rtl_gen.manifest import InputPort, Manifest, OutputPort, Sources, Tap, Wrapper
from rtl_gen.packaging import package
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.plan import Plan, load_plan, save_plan
from rtl_gen.plan.search import plan as make_plan
from rtl_gen.plan.verify import verified
from rtl_gen.structure import NAME as STRUCTURE
from rtl_gen.structure import Structure, conformed, widened, with_room
from rtl_gen.top import Top
from rtl_gen.topology import Topology
from rtl_gen.verilog_text import finished
from rtl_gen.wrapper import axi_stream
from rtl_gen.wrapper.interfaces import c_header, python_class, register_page

__all__ = ["DEFAULT_DEVICE", "TOP", "emit", "verilog_of"]

DEFAULT_DEVICE = "ecp5-85f"
#: Name of the top module.
TOP = "qtt_top"
#: What a BUILD folder holds.
DESIGN, MODEL, PLAN = "design.v", "model.qtt", "plan.json"
#: And with a wrapper.
WRAPPER, C_HEADER, PYTHON_CLASS, REGISTER_PAGE = "axi.v", "qtt_registers.h", "qtt_registers.py", "registers.md"
#: Kinds of wrappers.
WrapperKind = Literal["axi-stream"]
PRIMITIVES = Path(__file__).parent / "primitives"


def _manifest(graph: Graph, plan: Plan, top: Top, digest: str, wrapper: WrapperKind | None) -> Manifest:
    edge, last = graph.input.edge, top.specs[-1]
    return Manifest(
        version=versions.MANIFEST.written,
        name=graph.name,
        top=TOP,
        sources=Sources.made({target: (DESIGN, _primitives(target)) for target in ("simulation", plan.family)}),
        model=MODEL,
        digest=digest,
        plan=PLAN,
        input=InputPort(
            lanes=top.in_lanes,
            lane_bits=edge.format.bits,
            signed=edge.format.signed,
            words=edge.positions * edge.channels // top.in_lanes,
        ),
        output=OutputPort(
            value_bits=output_layout(last.out.format, top.classes).size - 1,
            words=top.classes + 1,
        ),
        taps=tuple(
            Tap(
                stage=tap.stage,
                strobe=f"tap_{top.tap_names[tap.stage]}__strobe",
                payload=f"tap_{top.tap_names[tap.stage]}__payload",
                lanes=tap.lanes,
                lane_bits=tap.bits,
                signed=tap.signed,
                words=tap.words,
            )
            for spec in (top.specs if top.taps else ())
            for tap in spec.taps
        ),
        predicted=plan.predicted,
        wrapper=None if wrapper is None else Wrapper(kind=wrapper, top=axi_stream.TOP, source=WRAPPER),
    )


def _primitives(target: str) -> str:
    """The file of a family's primitives, or of how they behave in simulation."""
    return f"primitives_{'sim' if target == 'simulation' else target}.v"


def verilog_of(top: Top) -> str:
    """The text of a design, which needs a family's primitives."""
    # Any platform but None: multipliers become instances of the family's primitive.
    text = verilog.convert(top, name=TOP, platform=object(), emit_src=False, strip_internal_attrs=True)
    return finished(text, TOP)


def _with_structure(
    graph: Graph, plan: Plan, given: Structure | None, where: object
) -> tuple[Structure, list[Spec], Topology]:
    """The hardware of a model in a structure that has room for others: in the one given, or in its own."""
    family = family_named(plan.family)
    with named(where):
        contents_in(family)
    usual, _ = hardware_of(graph, plan, where)
    engines = [spec for spec in usual if isinstance(spec, EngineSpec)]
    structure = given or with_room(graph, family, engines)
    with named(where):
        specs, topology = hardware_of(conformed(graph, structure), plan, exchangeable=True)
    specs = widened(specs, structure)
    for spec, other in zip(specs, usual, strict=True):
        if (spec.latency, spec.cycles, spec.dsps) != (other.latency, other.cycles, other.dsps):
            raise ValueError(f"{where}: stage {spec.name}: with room for other weights it would take other cycles")
    return structure, specs, topology


def _plan_like(like: Path, build: Path, plan: Plan | str | Path | None, taps: bool) -> Path:
    """The plan of a BUILD whose design another one becomes; refuses what would make it another design."""
    if build.exists() and build.samefile(like):
        raise ValueError(f"{build}: would take its own place, and its bitstreams go; give the new BUILD another name")
    if plan is not None:
        raise ValueError(f"{like}: its own plan is taken; leave the plan out")
    other = Manifest.load(like)
    if bool(other.taps) != taps:
        raise ValueError(f"{like}: was emitted {'with' if other.taps else 'without'} taps, as this one must be")
    return like / other.plan


def emit(
    model: Graph | str | Path,
    build: str | Path,
    plan: Plan | str | Path | None = None,
    *,
    taps: bool = False,
    wrapper: WrapperKind | None = None,
    exchangeable: bool = False,
    like: str | Path | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Write the BUILD folder of a model; returns its manifest.

    Parameters
    ----------
    model : Graph or path of a model.qtt
    build : path
        Created; an existing BUILD folder is replaced, and anything else refused, also a file in it that is not ours.
    plan : Plan or path, optional
        Without one, the fastest plan for the default device. What follows from its foldings is computed anew.
    taps : bool
        Bring out every stage's output for comparison.
    wrapper : "axi-stream", optional
        Also write a module around the design with AXI4-Stream and AXI4-Lite, and its register map.
    exchangeable : bool
        With room for other weights, which all stand in block RAM: see `rtl_gen.structure`.
    like : path, optional
        Another BUILD that was emitted so: this one becomes the same but for the contents of ROMs. Its plan is taken.
    progress : Progress

    Raises
    ------
    ValueError
        When the plan is of another model or says anything else than what follows from its foldings, or the model does
        not fit into the other BUILD's structure, before anything is written.
    """
    graph = model if isinstance(model, Graph) else load(Path(model))
    build = Path(build)
    refuse_foreign(build, BUILD)
    if wrapper is not None and wrapper not in get_args(WrapperKind):
        raise unknown("wrapper", wrapper, get_args(WrapperKind))
    structure = None
    if like is not None:
        structure, like = Structure.load(Path(like)), Path(like)
        plan = _plan_like(like, build, plan, taps)
    where = "the plan" if plan is None or isinstance(plan, Plan) else plan
    if plan is None:
        plan = make_plan(graph, find_device(DEFAULT_DEVICE), progress=progress)
    else:
        given = plan if isinstance(plan, Plan) else load_plan(Path(plan))
        plan = verified(graph, given, str(where), progress)
    if exchangeable or structure is not None:
        structure, specs, topology = _with_structure(graph, plan, structure, where if like is None else like)
    else:
        specs, topology = hardware_of(graph, plan, where)
    top = Top(specs, plan.input_lanes, topology, taps=taps)
    progress("Verilog")
    text = verilog_of(top)
    if like is not None:
        refuse_difference((like / DESIGN).read_text(encoding="utf-8"), text, like)

    with folder_writer(build, BUILD) as partial:
        (partial / DESIGN).write_text(text, encoding="utf-8")
        multiplier = top.family.multiplier
        for target, file in (("simulation", multiplier.simulation), (top.family.name, multiplier.verilog)):
            shutil.copyfile(PRIMITIVES / file, partial / _primitives(target))
        save(graph, partial / MODEL)
        save_plan(plan, partial / PLAN)
        manifest = _manifest(graph, plan, top, digest_of(partial / MODEL), wrapper)
        texts = package(manifest)
        if structure is not None:
            manifest = manifest.model_copy(update={"exchangeable": True})
            texts[STRUCTURE] = structure.model_dump_json(indent=1) + "\n"
        if wrapper is not None:
            texts[WRAPPER] = axi_stream.wrapper_verilog(manifest)
            texts |= {C_HEADER: c_header(manifest), PYTHON_CLASS: python_class(manifest)}
            texts[REGISTER_PAGE] = register_page(manifest)
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        write_file(partial / MANIFEST, manifest.to_json())
    return manifest
