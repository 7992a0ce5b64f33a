"""Traces of a co-simulation, of whole runs or around the first difference, and the views that are saved beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

from qtt_hw.children import Children
from qtt_hw.files import scratch_folder, write_file
from sim.batch import compile_batch, run_batch
from sim.ends import Fault
from sim.icarus import compile_icarus, run_icarus
from sim.job import Job, Outcome
from sim.tracing import SETTLED, Tracing, Waves, Window
from sim.wave_signals import Scope, scopes_of, verilog
from sim.wave_units import units_of
from sim.wave_views import View, gtkwave, surfer

__all__ = ["FORMS", "Tracer"]

#: Which forms of traces each engine writes; those that do not stand here write none.
FORMS = {"verilator": ("vcd", "fst"), "icarus": ("vcd", "fst"), "cocotb": ("vcd",)}
#: Where an engine's traces have the module of waves.
_ROOTS = {"verilator": "bench.harness.waves", "icarus": "bench.harness.waves", "cocotb": "harness.waves"}


class Tracer:
    """Writes one trace of one design.

    Parameters
    ----------
    job : Job
    engine : str
    file : Path
        Ends in .vcd or .fst.
    inside : bool
        With every signal of the design.
    part : bool
        The trace is to be of a part of a run.

    Raises
    ------
    ValueError
        When the engine cannot write such a file, or the plan is not the design's.
    """

    def __init__(self, job: Job, engine: str, file: Path, *, inside: bool = False, part: bool = False):
        form, forms = file.suffix[1:], FORMS.get(engine)
        if forms is None:
            raise ValueError(f"waves {file}: engine {engine} writes none; {', '.join(FORMS)} do")
        if form not in forms:
            raise ValueError(f"waves {file}: engine {engine} writes {' and '.join(f'.{each}' for each in forms)} files")
        if part and engine == "cocotb":
            raise ValueError(f"waves {file}: engine cocotb traces whole runs; verilator and icarus also parts of one")
        self._engine, self._file = engine, file
        self._scopes: list[Scope] = scopes_of(units_of(job.build, job.manifest, job.graph))
        self.tracing = Tracing(verilog(self._scopes), cast(Literal["vcd", "fst"], form), inside)

    @contextmanager
    def whole(self) -> Iterator[Window]:
        """A window of a whole run; `keep` takes its file before the block ends."""
        with scratch_folder(self._file) as folder:
            yield Window(folder.resolve() / self._file.name)

    def around(self, job: Job, found: Outcome, fault: Fault, margin: int) -> Waves:
        """Run a job once more, only to write `margin` cycles before a fault and a quarter as many behind it."""
        with scratch_folder(self._file) as folder:
            first, last = max(fault.cycle - margin, -SETTLED), fault.cycle + margin // 4
            window = Window(folder.resolve() / self._file.name, first, last)
            if self._engine == "verilator":
                run = run_batch(job, compile_batch(job.build, job.manifest, self.tracing), Children(), window)
            else:
                program = compile_icarus(job.build, job.manifest, tracing=self.tracing)
                run = run_icarus(job, program, Children(), window)
            for _ in run:
                pass
            return self.keep(window, job, found, fault)

    def keep(self, window: Window, job: Job, found: Outcome, fault: Fault | None) -> Waves:
        """Put a run's trace in its place, and the views of it beside it.

        Parameters
        ----------
        window : Window
            Of the run.
        job : Job
        found : Outcome
            Of the whole run.
        fault : Fault, optional
            What is wrong with it.
        """
        first, last = window.first, min(window.last, found.cycles)
        starts = {job.first + n: start for n, start in enumerate(found.starts) if first <= start <= last}
        stages = {scope.unit.stage: scope.name for scope in self._scopes}
        unit = None if found.difference is None else stages.get(found.difference.stage, "argmax")
        file, mark = self._file, None if fault is None else (fault.what, fault.cycle)
        view = View(file, _ROOTS[self._engine], self._scopes, first, last, starts, mark, unit)
        views = file.with_suffix(".gtkw"), file.with_suffix(".sucl")
        window.file.replace(file.resolve())
        write_file(views[0], gtkwave(view))
        write_file(views[1], surfer(view))
        signals = sum(len(group.signals) for scope in self._scopes for group in scope.groups)
        size = file.stat().st_size
        return Waves(
            file=file,
            gtkwave=views[0],
            surfer=views[1],
            first_cycle=first,
            last_cycle=last,
            signals=signals,
            bytes=size,
        )
