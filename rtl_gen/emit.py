"""From a graph and a plan to a BUILD folder: Verilog, primitives, the model, the plan and a manifest.

The folder is written under a temporary name and renamed, so that it is whole or absent.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from amaranth.back import verilog

from boards.devices import device as find_device
from qtt_hw.ir.file import digest_of, load, save
from qtt_hw.ir.graph import Graph
from rtl_gen.argmax import output_layout
from rtl_gen.manifest import NAME as MANIFEST
from rtl_gen.manifest import InputPort, Manifest, OutputPort, Predicted, Sources, Tap
from rtl_gen.plan.plan import Plan, load_plan, save_plan, stage_specs
from rtl_gen.plan.search import plan as make_plan
from rtl_gen.top import Top, port_name

__all__ = ["DEFAULT_DEVICE", "TOP", "emit"]

DEFAULT_DEVICE = "ecp5-85f"
#: Name of the top module.
TOP = "qtt_top"
#: What a BUILD folder holds.
DESIGN, MODEL, PLAN = "design.v", "model.qtt", "plan.json"
PRIMITIVES = Path(__file__).parent / "primitives"


def _manifest(graph: Graph, plan: Plan, top: Top, digest: str) -> Manifest:
    first, last = top.specs[0], top.specs[-1]
    return Manifest(
        version=1,
        name=graph.name,
        top=TOP,
        sources=Sources(simulation=(DESIGN, "primitives_sim.v"), ecp5=(DESIGN, "primitives_ecp5.v")),
        model=MODEL,
        digest=digest,
        plan=PLAN,
        input=InputPort(
            lanes=top.in_lanes,
            lane_bits=first.x.format.bits,
            signed=first.x.format.signed,
            words=first.x.positions * first.x.channels // top.in_lanes,
        ),
        output=OutputPort(
            value_bits=output_layout(last.out.format, top.classes).size - 1,
            words=top.classes + 1,
        ),
        taps=tuple(
            Tap(
                stage=spec.node.name,
                strobe=f"tap_{port_name(spec.node.name)}__strobe",
                payload=f"tap_{port_name(spec.node.name)}__payload",
                lanes=spec.folding.lanes,
                lane_bits=spec.out.format.bits,
                signed=spec.out.format.signed,
                words=spec.out_words,
            )
            for spec in (top.specs if top.taps else ())
        ),
        predicted=Predicted(interval=plan.cycles, latency=plan.latency),
    )


def _plain_names(text: str) -> str:
    """Module names without escapes: `\\qtt_top.stage.unit` becomes `qtt_top__stage__unit`."""

    def plain(found: re.Match[str]) -> str:
        return found[1].replace(".", "__").replace("$", "_") + " "

    return re.sub(rf"\\({TOP}(?:\.[\w$]+)+) ", plain, text)


def emit(
    model: Graph | str | Path,
    build: str | Path,
    plan: Plan | str | Path | None = None,
    *,
    taps: bool = False,
) -> Manifest:
    """Write the BUILD folder of a model; returns its manifest.

    Parameters
    ----------
    model : Graph or path of a model.qtt
    build : path
        Created; an existing BUILD folder is replaced, anything else is refused.
    plan : Plan or path, optional
        Without one, the fastest plan for the default device.
    taps : bool
        Bring out every stage's output for comparison.
    """
    graph = model if isinstance(model, Graph) else load(Path(model))
    build = Path(build)
    if build.exists() and not (build / MANIFEST).is_file() and (not build.is_dir() or any(build.iterdir())):
        raise ValueError(f"{build}: exists and is not a BUILD folder; choose another name")
    if plan is None:
        plan = make_plan(graph, find_device(DEFAULT_DEVICE))
    elif not isinstance(plan, Plan):
        plan = load_plan(Path(plan))
    specs = stage_specs(graph, [(s.stage, s.folding) for s in plan.stages])
    top = Top(specs, plan.input_lanes, taps=taps)

    build.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{build.name}.", dir=build.parent))
    try:
        # Any platform but None: multipliers become instances of the family's primitive.
        text = verilog.convert(top, name=TOP, platform=object(), emit_src=False, strip_internal_attrs=True)
        (partial / DESIGN).write_text(_plain_names(text))
        for target in ("sim", "ecp5"):
            shutil.copyfile(PRIMITIVES / f"multiplier_{target}.v", partial / f"primitives_{target}.v")
        save(graph, partial / MODEL)
        save_plan(plan, partial / PLAN)
        manifest = _manifest(graph, plan, top, digest_of(partial / MODEL))
        (partial / MANIFEST).write_text(json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")
        partial.chmod(0o755)
        if build.exists():
            shutil.rmtree(build)
        partial.rename(build)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest

