"""Saved views of a trace: a save file for GTKWave and a command file for Surfer.

Both show the units in the order of the network, values in decimal and signed as their formats are, `valid` and `ready`
in colours of their own, and a mark where each sample begins and at the first difference. GTKWave's units are closed but
for the one that differs first, or the input. Of Surfer the documented commands are used, not its state files, which
change from version to version; one that a version does not know is left out by it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.tracing import CLOCK, CYCLE, PERIOD, time_of
from sim.wave_signals import Group, Scope, Signal

__all__ = ["View", "gtkwave", "surfer"]

#: GTKWave's flags of a row: how it is written, at the right, and what begins and ends a group, open or closed.
_BINARY, _DECIMAL, _SIGNED, _COMMENT = "@28", "@24", "@420", "@200"
_OPEN, _CLOSED = ("@800200", "@1000200"), ("@c00200", "@1401200")
#: GTKWave's colours of rows.
_GREEN, _ORANGE, _YELLOW = "[color] 4", "[color] 2", "[color] 3"
#: GTKWave's named marks are the letters.
_MARKS = 26
#: Pixels of GTKWave's waves that its first sight is made for.
_PIXELS = 800
#: Characters of a line of notes.
_COLUMNS = 60
#: Lanes of a stream that Surfer shows, which cannot close a group in the beginning.
_LANES = 8


@dataclass(frozen=True)
class View:
    """What is seen.

    Parameters
    ----------
    trace : Path
    root : str
        The scope of module `waves` in the trace.
    scopes : sequence of Scope
    first, last : int
        Cycles of the trace.
    samples : mapping of int to int
        The cycle in which each sample begins, by its number.
    difference : (str, int), optional
        The first one: what it is, and its cycle.
    unit : str, optional
        In which it is.
    """

    trace: Path
    root: str
    scopes: Sequence[Scope]
    first: int
    last: int
    samples: dict[int, int]
    difference: tuple[str, int] | None = None
    unit: str | None = None

    @property
    def sight(self) -> tuple[int, int]:
        """Cycles that are seen first: around the difference, or from the first sample on."""
        if self.difference is not None:
            return max(self.difference[1] - 40, self.first), min(self.difference[1] + 20, self.last)
        begin = min(self.samples.values(), default=self.first)
        return begin, min(begin + 80, self.last)


def gtkwave(view: View) -> str:
    """The save file: `gtkwave FILE.gtkw`."""
    from_cycle, to_cycle = view.sight
    marks = [time_of(cycle) for cycle in view.samples.values()][:_MARKS]
    cursor = -1 if view.difference is None else time_of(view.difference[1])
    # GTKWave's zoom is the negative logarithm of the units of time that 200 pixels have
    zoom = -math.log2(max(PERIOD * (to_cycle - from_cycle), 1) * 200 / _PIXELS)
    named = " ".join(str(time) for time in [*marks, *([-1] * (_MARKS - len(marks)))])
    trace = view.trace.resolve()
    lines = ["[*] Written by qtt-hw"]
    if str(trace).isprintable() and '"' not in str(trace):
        lines += [f'[dumpfile] "{trace}"', f'[savefile] "{trace.with_suffix(".gtkw")}"']
    lines += [
        f"[timestart] {time_of(from_cycle)}",
        "[size] 1600 900",
        "[sst_expanded] 0",
        f"*{zoom:.6f} {cursor} {named}",
    ]
    lines += [f"[treeopen] {view.root}.", _BINARY, f"{view.root}.{CLOCK}", _SIGNED, f"{view.root}.{CYCLE}[31:0]"]
    samples = ", ".join(f"{chr(65 + k)} sample {number}" for k, number in enumerate(list(view.samples)[:_MARKS]))
    notes = [f"marks: {samples}"] if samples else []
    if view.difference is not None:
        notes.append(f"cursor: {_line(view.difference[0])}")
    for note in notes:
        for part in textwrap.wrap(note, _COLUMNS):
            lines += [_COMMENT, f"-{part}"]
    opened = view.unit or view.scopes[0].name
    for scope in view.scopes:
        begin, end = _OPEN if scope.name == opened else _CLOSED
        title = f"-{scope.name}: {_line(scope.unit.title)}"
        lines += [begin, title]
        for group in scope.groups:
            lines += _gtkwave_group(f"{view.root}.{scope.name}", group)
        lines += [end, title]
    return "\n".join(lines) + "\n"


def _gtkwave_group(scope: str, group: Group) -> Iterator[str]:
    yield _COMMENT
    yield f"-{group.name}: {group.title}" if group.name else f"-{group.title}"
    for signal in group.signals:
        yield _SIGNED if signal.signed else _BINARY if signal.bits == 1 else _DECIMAL
        if signal.kind != "value":
            yield _colour(signal, _GREEN, _ORANGE, _YELLOW)
        # a row's own name is its path; an alias says where it is without
        where = f"{group.name}." if group.name else ""
        yield f"+{{{where}{signal.name}}} {_path(scope, group, signal)}"


def _line(text: str) -> str:
    """What users have called something, on one line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _path(scope: str, group: Group, signal: Signal) -> str:
    inner = f"{scope}.{group.name}" if group.name else scope
    return f"{inner}.{signal.name}{f'[{signal.bits - 1}:0]' if signal.bits > 1 else ''}"


def _colour(signal: Signal, valid: str, ready: str, other: str) -> str:
    return {"valid": valid, "ready": ready}.get(signal.name, other)


def surfer(view: View) -> str:
    """The command file: `surfer --command-file FILE.sucl TRACE`."""
    lines = [
        f"# Written by qtt-hw: surfer --command-file {view.trace.with_suffix('.sucl').name} {view.trace.name}",
        f"variable_add {view.root}.{CLOCK}",
        "item_focus a",  # what is added from here on is in focus
        f"variable_add {view.root}.{CYCLE}",
        "item_set_format Signed",
    ]
    for scope in view.scopes:
        lines.append(f"# {_line(scope.unit.title)}")
        for group in scope.groups:
            inner = f"{scope.name}.{group.name}" if group.name else scope.name
            lines += [f"# {group.title}", f"divider_add {inner.replace('.', '_')}"]
            values = [signal for signal in group.signals if signal.kind == "value"]
            hidden = values[_LANES:]
            for signal in group.signals:
                if signal in hidden:
                    continue
                lines.append(f"variable_add {view.root}.{inner}.{signal.name}")
                if signal.bits > 1:
                    lines.append(f"item_set_format {'Signed' if signal.signed else 'Unsigned'}")
                if signal.kind != "value":
                    lines.append(f"item_set_color {_colour(signal, 'Green', 'Orange', 'Yellow')}")
            if hidden:
                lines.append(f"# {hidden[0].name} to {hidden[-1].name} are in the scope {view.root}.{inner}")
    lines += [f"marker_set_at {time_of(cycle)} sample_{number}" for number, cycle in view.samples.items()]
    if view.difference is not None:
        lines += [f"marker_set_at {time_of(view.difference[1])} first_difference"]
        lines += [f"# {_line(view.difference[0])}", f"cursor_set {time_of(view.difference[1])}"]
    lines.append(f"zoom_to {time_of(view.sight[0])} {time_of(view.sight[1])}")
    return "\n".join(lines) + "\n"
