"""Memories in banks of every depth: the word of each address after the stated latency, and no bank is confused."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.sim import Simulator

from rtl_gen.families import ECP5, ICE40
from rtl_gen.memory import PacedRam, Ram, Rom, SinglePortRam

#: Depth and width: LUTs in one bank, in four, in five that are not full; block RAM in one, in two, in three; of a ROM
#: words that are divided, in one bank and in two.
SHAPES = [(2, 3), (16, 5), (64, 5), (50, 9), (65, 36), (512, 36), (600, 36), (1100, 36), (4000, 13), (17000, 10)]


def test_the_banks_of_a_memory_and_what_their_selection_takes() -> None:
    memory = ECP5.memory
    several = [memory.bank(depth, width) < depth for depth, width in SHAPES]
    assert several == [False, False, True, True, False, False, False, True, False, True]
    assert [memory.read_latency(depth, width) for depth, width in SHAPES] == [2] * 7 + [3, 2, 3]
    # two blocks of 18 x 1024 rather than two of 36 x 512 that are selected, three of 36 x 512 rather than four
    assert (memory.blocks(600, 36), memory.bank(600, 36)) == (2, 1024)
    assert (memory.blocks(8192, 20), memory.blocks(7744, 13)) == (10, 7)
    assert (memory.blocks(1100, 36), memory.bank(1100, 36), memory.capacity(1100, 36)) == (3, 512, 1536)


def test_a_word_of_a_deep_rom_is_divided_where_wider_blocks_would_be_fewer() -> None:
    # Of 20 x 8192: eight blocks of 9 x 2048 and one of 2 x 8192 are nine, ten of the latter ten.
    assert ECP5.memory.columns(8192, 20) == [8, 8, 4] and ECP5.memory.columns(4096, 13) == [8, 5]
    assert ECP5.memory.columns(80000, 20) == [8, 8, 4]
    # A byte of nine bits is as wide as it is; nothing wider leaves less unused.
    assert ECP5.memory.columns(2048, 20) == [20] and ECP5.memory.columns(16384, 8) == [8]
    assert ECP5.memory.columns(64, 36) == [36]  # in LUTs
    # All bits of these blocks are there in every form.
    assert all(ICE40.memory.columns(depth, 20) == [20] for depth in (256, 512, 1024, 2048, 5000))


def test_where_block_rams_are_small_and_there_is_no_lut_ram() -> None:
    memory = ICE40.memory
    assert not memory.uses_block(16) and memory.shallow(16, 5).ffs == 80
    assert (memory.blocks(17, 16), memory.blocks(17, 17), memory.blocks(300, 8), memory.blocks(2048, 3)) == (1, 2, 1, 2)
    # three banks of 16 x 256 rather than four blocks of 4 x 1024
    assert (memory.blocks(700, 16), memory.bank(700, 16), memory.read_latency(700, 16)) == (3, 256, 3)


@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize(("depth", "width"), SHAPES)
def test_rom(depth: int, width: int, late: int) -> None:
    rng = np.random.default_rng(depth)
    words = [int(word) for word in rng.integers(0, 1 << width, depth)]
    latency = ECP5.memory.read_latency(depth, width) + late
    rom = Rom(words, width, ECP5, latency)
    addresses = [int(a) for a in rng.integers(0, depth, 200)] + list(range(max(0, depth - 40), depth))
    found = []

    async def run(ctx):
        for cycle in range(len(addresses) + latency):
            if cycle < len(addresses):
                ctx.set(rom.address, addresses[cycle])
            if cycle >= latency:
                found.append(ctx.get(rom.data))
            await ctx.tick()

    simulator = Simulator(rom)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert found == [words[address] for address in addresses]


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize(("depth", "width"), SHAPES)
def test_ram(depth: int, width: int, late: int, early: bool) -> None:
    """Words are written while others are read; a read, `late` cycles later, sees the writes of the cycles before it."""
    rng = np.random.default_rng(depth)
    latency = ECP5.memory.read_latency(depth, width) + late
    ram = Ram(depth, width, ECP5, latency, early)
    addresses = [int(a) for a in rng.integers(0, depth, 3 * depth + 100)]
    read = [None] * late + addresses  # in each cycle
    # In each cycle a place, a word, and whether it is written: not what is read.
    drawn = [(int(rng.integers(depth)), int(rng.integers(0, 1 << width)), bool(rng.integers(2))) for _ in addresses]
    writes = [(place, word, enable and place != at) for (place, word, enable), at in zip(drawn, read, strict=False)]
    # What comes a cycle before its word has none in the first cycle.
    writes[0] = (0, 0, False)
    contents, found, wanted = {}, [], []

    async def run(ctx):
        for cycle, address in enumerate(addresses):
            ctx.set(ram.address, address)
            place, _, enable = writes[min(cycle + early, len(writes) - 1)]
            ctx.set(ram.write_enable, enable)
            ctx.set(ram.write_address, place)
            place, word, enable = writes[cycle]
            ctx.set(ram.write_data, word)
            if cycle >= late:
                wanted.append(contents.get(read[cycle], 0))
            if enable:
                contents[place] = word
            if cycle >= latency:
                found.append(ctx.get(ram.data))
            await ctx.tick()

    simulator = Simulator(ram)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert found == wanted[: len(found)]
    assert len(set(found)) > 1


def test_a_latency_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="the memory takes 3 cycles, not 2"):
        Simulator(Rom([0] * 1100, 36, ECP5, 2))


def test_memories_of_one_port() -> None:
    text = verilog.convert(SinglePortRam(300, 20, ICE40), name="top")
    assert text.count("SB_SPRAM256KA \\block_") + text.count("SB_SPRAM256KA block_") == 2, "of 16 bits"
    with pytest.raises(ValueError, match=r"^iCE40 has no memory of one port for 16385 words of 8 bits$"):
        SinglePortRam(16385, 8, ICE40)
    with pytest.raises(ValueError, match=r"^ECP5 has no memory of one port for 8 words of 8 bits$"):
        SinglePortRam(8, 8, ECP5)


@pytest.mark.parametrize("words", [[5], [5, 9, 12]])
def test_a_rom_whose_contents_can_be_exchanged(words):
    """It is a memory whatever its depth, in block RAM, and gives its words as late as any other."""
    family = replace(ECP5, memory=replace(ECP5.memory, exchangeable=True))
    rom = Rom(words, 4, family)
    text = verilog.convert(rom, platform=object(), emit_src=False)
    assert 'rom_style = "block"' in text and "contents" in text

    async def bench(ctx):
        await ctx.tick().repeat(4)
        for address, word in enumerate(words):
            ctx.set(rom.address, address)
            await ctx.tick().repeat(rom.latency)
            assert ctx.get(rom.data) == word

    simulator = Simulator(rom)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("late", [0, 1])
def test_a_memory_of_one_port_that_is_read_and_written_in_turns(late: int) -> None:
    """A read every second cycle, or now and then; words come two apart, also in the cycle of a read."""
    rng = np.random.default_rng(late)
    depth, cycles = 40, 600
    ram = PacedRam(depth, 20, ICE40, 2 + late)
    reads, comes = (np.zeros(cycles, bool) for _ in range(2))
    for one in (reads, comes):
        cycle = 0
        while cycle < cycles - 8:
            one[cycle] = True
            cycle += 2 if rng.integers(3) else int(rng.integers(2, 5))
    places, words = rng.integers(0, depth, cycles), rng.integers(0, 1 << 20, cycles)
    contents, wanted, found, waiting = [0] * depth, [], [], []

    async def run(ctx):
        for cycle in range(cycles):
            address = int(rng.integers(0, depth))
            ctx.set(ram.reads, int(reads[cycle]))
            ctx.set(ram.address, address)
            # The enable and the address come a cycle before the word.
            ctx.set(ram.write_enable, int(comes[cycle]))
            ctx.set(ram.write_address, int(places[cycle]))
            ctx.set(ram.write_data, int(words[cycle - 1]))
            if cycle >= late and reads[cycle - late]:
                wanted.append((cycle + 2, contents[asked[cycle - late]] if late else contents[address]))
            asked.append(address)
            if cycle and comes[cycle - 1]:
                waiting.append((int(places[cycle - 1]), int(words[cycle - 1])))
            if waiting and not (cycle >= late and reads[cycle - late]):
                place, word = waiting.pop(0)
                contents[place] = word
            found.append(ctx.get(ram.data))
            await ctx.tick()

    asked: list[int] = []
    simulator = Simulator(ram)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert len(wanted) > 100 and not waiting
    assert all(found[cycle] == word for cycle, word in wanted if cycle < cycles)
