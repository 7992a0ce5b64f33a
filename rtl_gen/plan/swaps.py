"""A network at some foldings, and what stands in for the folding of one stage while all others stay."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

from qtt_hw.graph import Graph, Node
from rtl_gen.cycles import predict
from rtl_gen.depths import short_inputs
from rtl_gen.engine.folding import EngineFolding
from rtl_gen.families import Family, Resources
from rtl_gen.kinds import Spec, kind_of, spec_of
from rtl_gen.kinds.choices import Choice, JoinChoices, Lanes, StageChoices, readable
from rtl_gen.plan.derive import input_lanes
from rtl_gen.plan.engines import EngineChoices, Engines
from rtl_gen.plan.hardware import ordered
from rtl_gen.plan.links import link_resources
from rtl_gen.plan.nest import stream_of
from rtl_gen.plan.plan import AnyFolding, UnitName
from rtl_gen.plan.problem import choices_of
from rtl_gen.topology import SOURCE, Reader, Topology

__all__ = ["Swaps"]

#: The choices of a stage of one input or of several, or of an engine.
_Choices = StageChoices | JoinChoices | EngineChoices


@dataclass(frozen=True)
class Swaps:
    """The stages of a graph with their choices and connections, for which foldings are handed in.

    FIFOs have no end here: at the depths that a plan has them (`rtl_gen.depths`) they lose no cycle. What they take is
    not counted, since it hardly depends on the foldings.

    Parameters
    ----------
    graph : Graph
        Whose paths of contraction are chosen.
    family : Family
    units : tuple of (str or tuple of str)
        Stages, without reshapes, by name, and engines by their stages' names.
    topology : Topology
    """

    graph: Graph
    family: Family
    units: tuple[UnitName, ...]
    topology: Topology
    _choices: tuple[_Choices, ...]
    #: What has been built, by the stage's number and its folding, and what it takes.
    _built: dict[tuple[int, AnyFolding], Spec] = field(default_factory=dict)
    _taken_by: dict[tuple[int, AnyFolding], Resources] = field(default_factory=dict)
    #: What stands between stages, by the widths of all their words.
    _links: dict[tuple[tuple[int, int], ...], Resources] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        graph: Graph,
        foldings: Mapping[UnitName, AnyFolding],
        family: Family,
        known: Mapping[str, StageChoices] | None = None,
        engines: Engines | None = None,
    ) -> Swaps:
        """With FIFOs at those inputs of sums where they stand at some foldings, by unit.

        Parameters
        ----------
        graph : Graph
        foldings : mapping of unit to folding
        family : Family
        known : mapping of str to StageChoices, optional
            Choices of stages that have been worked out.
        engines : Engines, optional
            The same of engines.
        """
        nodes = tuple(node for node in graph.nodes if not node.relabels)
        chains = [node for node in nodes if len(node.inputs) == 1]
        choices: dict[str, _Choices] = dict(known or {})
        new = [node for node in chains if node.name not in choices]
        entries = [(node, graph.input_of(node), stream_of(graph, node.inputs[0])) for node in new]
        choices.update(zip((node.name for node in new), choices_of(entries, family), strict=True))
        for node in nodes:
            if len(node.inputs) > 1:
                inputs, streams = graph.inputs_of(node), [stream_of(graph, name) for name in node.inputs]
                choices[node.name] = kind_of(node).choices(node, inputs, streams, family)
        engines = engines or Engines(graph, family)
        units = tuple(unit for unit, _ in ordered(graph, foldings))
        of_units = tuple(choices[u] if isinstance(u, str) else engines.of(u) for u in units)
        runs = [unit for unit in units if not isinstance(unit, str)]
        found = cls(graph, family, units, Topology.of(graph, engines=runs), of_units)
        if len(chains) == len(nodes):
            return found
        specs = found.specs(foldings)
        lanes = input_lanes(graph, specs, found.topology)
        readers = short_inputs(specs, lanes, found.topology, found.classes)
        return cls(graph, family, units, found.topology.with_fifos(dict.fromkeys(readers)), found._choices)

    @property
    def classes(self) -> int:
        """Logits of an inference."""
        return math.prod(self.graph.output.shape)

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.graph.nodes}

    def spec(self, number: int, folding: AnyFolding) -> Spec:
        """A unit, by its number, at a folding."""
        key = number, folding
        found = self._built.get(key)
        if found is None:
            choices, unit = self._choices[number], self.units[number]
            if isinstance(choices, EngineChoices):
                found = choices.spec(folding)  # type: ignore[arg-type]
            else:
                node = self._nodes[unit]  # type: ignore[index]
                found = spec_of(node, self.graph.inputs_of(node), folding, self.family)  # type: ignore[arg-type]
            self._built[key] = found
        return found

    def resources(self, number: int, folding: AnyFolding) -> Resources:
        """What a unit takes at a folding."""
        key = number, folding
        found = self._taken_by.get(key)
        if found is None:
            found = self._taken_by[key] = self.spec(number, folding).resources()
        return found

    def specs(self, foldings: Mapping[UnitName, AnyFolding]) -> list[Spec]:
        """All units at foldings."""
        return [self.spec(number, foldings[unit]) for number, unit in enumerate(self.units)]

    # What may stand in

    def of_stage(self, specs: Sequence[Spec], number: int) -> Iterator[Choice]:
        """A stage at every other folding whose words its neighbours have and take; lanes of codes as they are."""
        choices, behind = self._choices[number], self._taken(specs, number)
        if isinstance(choices, JoinChoices):
            widths = [width for width in choices.choices if width in behind and self._has(specs, number, width)]
            found = [choices.choices[width] for width in widths]
        elif isinstance(choices, EngineChoices):
            widths = [width for width in choices.widths if self._has(specs, number, width)]
            present = specs[number].folding
            assert isinstance(present, EngineFolding)
            found = [*choices.others(present, behind, widths, max(spec.cycles for spec in specs))]
        else:
            widths = [width for width in choices.widths if self._has(specs, number, width)]
            # What is best depends on what is between them, too, which wider words may do without.
            sets = [behind, *(frozenset({lanes}) for lanes in sorted(behind))]
            found = [choice for width in widths for lanes in sets for choice in choices.of(width, lanes)]
        yield from self._others(specs[number], number, found)

    def whatever_words(self, specs: Sequence[Spec], number: int) -> Iterator[Choice]:
        """The same as if neighbours had and took words of any width."""
        choices = self._choices[number]
        if isinstance(choices, JoinChoices):
            found = list(choices.choices.values())
        elif isinstance(choices, EngineChoices):
            present = specs[number].folding
            assert isinstance(present, EngineFolding)
            found = [*choices.slower(present)]
        else:
            every = readable(choices.made, 1)
            found = [choice for width in choices.widths for choice in choices.of(width, every)]
        yield from self._others(specs[number], number, found)

    def _others(self, present: Spec, number: int, found: Sequence[Choice]) -> Iterator[Choice]:
        kind = present.folding.multiplier
        for choice in dict.fromkeys(found):
            if present.coded and choice.folding.multiplier != kind:
                folding = choice.folding.model_copy(update={"multiplier": kind})
                choice = replace(choice, folding=folding, resources=self.resources(number, folding))
            if choice.folding != present.folding:
                self._taken_by.setdefault((number, choice.folding), choice.resources)
                yield choice

    def _readable(self, specs: Sequence[Spec], reader: Reader, width: int) -> Lanes:
        """The widths that words may have for a stage that takes `width` values at a time."""
        choices = self._choices[reader.stage]
        return choices.reads(width)[reader.input] if isinstance(choices, JoinChoices) else choices.reads(width)

    def _taken(self, specs: Sequence[Spec], number: int) -> Lanes:
        """The widths of words that all readers of a stage can take."""
        found = readable(specs[number].out.channels, 1)
        for reader in self.topology.readers[number]:
            if reader.stage < len(specs):
                found &= self._readable(specs, reader, specs[reader.stage].in_width)
        return found

    def _has(self, specs: Sequence[Spec], number: int, width: int) -> bool:
        """Whether what a stage reads has words that it can take `width` values at a time of."""
        sources = self.topology.reads[number]
        return all(
            source == SOURCE or specs[source].folding.lanes in self._readable(specs, Reader(number, k), width)
            for k, source in enumerate(sources)
        )

    def around(self, specs: Sequence[Spec], number: int) -> object:
        """What is known of a stage's neighbours where their words are: the widths that it reads, and that read it."""
        sources = self.topology.reads[number]
        heads = self.topology.readers[SOURCE] if SOURCE in sources else []
        behind = [reader.stage for reader in self.topology.readers[number] if reader.stage < len(specs)]
        return (
            tuple(specs[source].folding.lanes for source in sources if source != SOURCE),
            tuple(specs[reader.stage].in_width for reader in heads if reader.stage != number),
            tuple(specs[stage].in_width for stage in behind),
        )

    def agree(self, specs: Sequence[Spec]) -> bool:
        """Whether every stage can take the words that it reads."""
        return all(self._has(specs, number, spec.in_width) for number, spec in enumerate(specs))

    # What it comes to

    def links(self, specs: Sequence[Spec]) -> Resources:
        """What forks and changes of width between the stages take."""
        key = tuple([spec.word_widths for spec in specs])
        found = self._links.get(key)
        if found is None:
            lanes = input_lanes(self.graph, specs, self.topology)
            found = self._links[key] = link_resources(specs, self.topology, lanes)
        return found

    def cost(self, specs: Sequence[Spec]) -> Resources:
        """What the stages and what is between them take, without FIFOs."""
        stages = (self.resources(number, spec.folding) for number, spec in enumerate(specs))
        return sum(stages, self.links(specs))

    def mean(self, specs: Sequence[Spec], topology: Topology | None = None) -> Fraction | None:
        """The predicted mean interval, in cycles, with endless FIFOs or those of a topology.

        None where the network hangs, or where no period is proven, as with FIFOs without end that never stop filling.
        """
        lanes = input_lanes(self.graph, specs, self.topology)
        try:
            return predict(specs, lanes, classes=self.classes, topology=topology or self.topology).mean
        except ValueError:
            return None
