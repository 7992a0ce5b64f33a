"""Slow paths by stage: of nextpnr's cells what they are of, also between stages, in the link and at pins."""

from boards.critical import stage_paths
from boards.place import CriticalPath

STAGES = ("block.conv", "block.conv.out", "block.add", "module")


def path(*cells: str, total: float = 5.0) -> CriticalPath:
    return CriticalPath(total, 3.0, 2.0, f"{cells[0]}.Q", f"{cells[-1]}.DI", (), cells)


def test_ends_are_named_by_their_stages_and_what_is_between_them() -> None:
    cells = (
        "accelerator.block_conv.output.queue.o__valid_TRELLIS_FF_Q",
        "accelerator.block_conv.output.queue.o__valid_LUT4_C",
        "accelerator.block_conv_out.ring.filled_LUT4_C",
        "accelerator.block_add__i1__fifo.room_TRELLIS_FF_Q_DI_CCU2C_S0$CCU2_COMB0",
        "accelerator.block_add__i1__fifo.room_TRELLIS_FF_Q_4",
    )
    (found,) = stage_paths([path(*cells)], STAGES)
    assert found.start == "block.conv: output.queue.o__valid"
    assert found.end == "block.add: FIFO before it, room"
    assert found.through == ("block.conv", "block.conv.out", "block.add")


def test_the_slowest_is_first_and_what_is_of_no_stage_keeps_its_name() -> None:
    pins = path("rx$tr_io", "link.receiver.line_TRELLIS_FF_Q", total=1.0)
    rom = "accelerator.stage_module.weights.contents.0.0_DP16KD"
    memory = path(rom, "accelerator.argmax.best_TRELLIS_FF_Q", total=2.0)
    fork = path(
        "accelerator.input__fork.done_TRELLIS_FF_Q", "accelerator.block_conv__fork.done_TRELLIS_FF_Q", total=3.0
    )
    found = stage_paths([pins, memory, fork], STAGES)
    assert [one.total_ns for one in found] == [3.0, 2.0, 1.0]
    assert (found[0].start, found[0].end) == ("input: fork behind it, done", "block.conv: fork behind it, done")
    assert found[1].start == "module: weights.contents.0.0" and found[1].end == "argmax: best"
    assert (found[2].start, found[2].end, found[2].through) == ("rx", "link.receiver.line", ())
