"""What forks, splitters and gatherers between the stages of a network cost, found by the network's walk."""

from __future__ import annotations

from collections.abc import Sequence

from rtl_gen.costs.streams import fork, gatherer, splitter
from rtl_gen.families import Resources
from rtl_gen.kinds import Spec
from rtl_gen.network import Network, edge_at
from rtl_gen.topology import Reader, Topology

__all__ = ["link_resources"]


class _Links(Network[None]):
    """Adds up what the walk puts between stages. FIFOs are not counted here: the plan has them one by one."""

    def __init__(self, specs: Sequence[Spec], topology: Topology, in_lanes: int):
        super().__init__(specs, topology)
        self.total = Resources()
        self.join(None, in_lanes)
        self.narrowed(Reader(len(specs), 0), 1)  # the argmax takes one logit at a time

    def add_fork(self, stage: int, flow: None, lanes: int, readers: Sequence[Reader]) -> Sequence[None]:
        self.total += fork(len(readers))
        return [None] * len(readers)

    def add_splitter(self, reader: Reader, flow: None, lanes: int, wanted: int) -> None:
        self.total += splitter(wanted * edge_at(self.specs, reader).format.bits, lanes // wanted)

    def add_gatherer(self, reader: Reader, flow: None, lanes: int, wanted: int) -> None:
        self.total += gatherer(lanes * edge_at(self.specs, reader).format.bits, wanted // lanes)

    def add_fifo(self, reader: Reader, flow: None, lanes: int, depth: int | None) -> None:
        return

    def add_node(self, number: int, spec: Spec, flows: Sequence[None], lanes: int) -> None:
        return


def link_resources(specs: Sequence[Spec], topology: Topology, in_lanes: int) -> Resources:
    """Of all forks, splitters and gatherers of a network.

    Parameters
    ----------
    specs : sequence of Spec
    topology : Topology
    in_lanes : int
        Values in an input word.
    """
    return specs[0].family.fit.of(_Links(specs, topology, in_lanes).total)
