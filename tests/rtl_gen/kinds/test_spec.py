"""What every kind of stage says of itself: its memories are those that it costs."""

import pytest

from rtl_gen.families import ECP5
from rtl_gen.plan.hardware import stage_specs
from tests.replay.replay import DESIGNS


@pytest.mark.parametrize("name", DESIGNS)
def test_the_memories_of_a_stage_take_the_block_rams_that_it_costs(name):
    design = DESIGNS[name]
    for spec in stage_specs(design.graph, list(design.foldings.items()), ECP5):
        stores = spec.stores()
        assert sum(store.blocks(ECP5) for store in stores) == spec.resources().brams, spec.node.name
        assert stores[-1].purpose == "output queue" and min(min(store[1:4]) for store in stores) > 0
        kept = [store for store in stores if store.purpose == "weights"]
        assert sum(store.words * store.width for store in kept) >= (spec.rom_bits if kept else 0)
