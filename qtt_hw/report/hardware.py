"""The section on the network as hardware."""

from __future__ import annotations

from qtt_hw.report.drawing import drawing
from qtt_hw.report.section import Markup, Section
from qtt_hw.report.subject import Subject

__all__ = ["hardware_section"]


def hardware_section(subject: Subject) -> Section:
    """Stages, forks and FIFOs as they are built, each with what is known of it."""
    stages, units = len([node for node in subject.graph.nodes if not node.relabels]), len(subject.specs)
    what = "each a unit of its own" if stages == units else f"in {units} units, each one"
    what = f"{stages} stages, {what}" if stages == units else f"{stages} stages {what}"
    text = (
        f"{what} that takes words of a stream and puts out others; all "
        "work at the same time. Choose a unit to see its layer, formats, memories and share of the device."
    )
    return Section("hardware", "The network as hardware", text, [Markup("network", "", drawing(subject))])
