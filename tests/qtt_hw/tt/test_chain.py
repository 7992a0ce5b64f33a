"""The order of contraction against one dense product, and the cost of every path."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.tt.chain import ContractionPath, best_path, contraction_steps, cost, paths, step_weight


def dense(cores: list[np.ndarray]) -> np.ndarray:
    """W[s..., c...] of cores [r, c, s, r'], summed over ranks by einsum."""
    d = len(cores)
    ranks, ins, outs = "abcdef"[: d + 1], "ijklm"[:d], "uvwxy"[:d]
    terms = ",".join(ranks[i] + ins[i] + outs[i] + ranks[i + 1] for i in range(d))
    result = np.einsum(f"{terms}->{outs}{ins}", *cores)
    return result.reshape(math.prod(c.shape[2] for c in cores), -1)


def contract(
    x: np.ndarray, cores: list[np.ndarray], path: ContractionPath | None, ins: list[int], outs: list[int]
) -> np.ndarray:
    steps = contraction_steps(ins, outs, [core.shape[3] for core in cores[:-1]], path)
    for step in steps:
        weight = step_weight(cores, step)[:, :, 0]
        x = (weight @ x.reshape(-1, step.lead, step.in_size, step.trail)).reshape(len(x), -1)
    return x


@given(st.integers(1, 4), st.data())
def test_every_path_is_the_dense_product(d: int, data: st.DataObject) -> None:
    sizes = st.lists(st.integers(1, 4), min_size=d, max_size=d)
    ins, outs = data.draw(sizes), data.draw(sizes)
    ranks = data.draw(st.lists(st.integers(1, 3), min_size=d - 1, max_size=d - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    ends = [1, *ranks, 1]
    cores = [rng.integers(-3, 4, (ends[i], ins[i], outs[i], ends[i + 1])) for i in range(d)]
    x = rng.integers(-3, 4, (2, math.prod(ins)))
    expected = x @ dense(cores).T
    for path in (None, data.draw(st.sampled_from(list(paths(d))))):
        assert np.array_equal(contract(x, cores, path, ins, outs), expected)


def test_taps_are_the_output_mode_of_core_0() -> None:
    rng = np.random.default_rng(0)
    cores = [rng.integers(-3, 4, shape) for shape in ((1, 1, 27, 3), (3, 2, 4, 2), (2, 3, 5, 1))]
    kernel = dense([core.transpose(0, 1, 2, 3) for core in cores]).reshape(27, 4, 5, 2, 3)
    for path in paths(3):
        steps = contraction_steps((1, 2, 3), (1, 4, 5), (3, 2), path)
        state = rng.integers(-3, 4, (27, 6))  # an input vector under every tap
        expected = np.einsum("kstcd,kcd->st", kernel, state.reshape(27, 2, 3)).ravel()
        value: np.ndarray | None = None
        for step in steps:
            weight = step_weight(cores, step)
            if step.first == 0:
                taps = state if value is None else value
                parts = taps.reshape(27, step.lead, step.in_size, step.trail)
                value = np.einsum("oik,klit->lot", weight, parts).ravel()
            else:
                parts = (state if value is None else value).reshape(-1, step.lead, step.in_size, step.trail)
                made = weight[:, :, 0] @ parts
                value = made.reshape(27, -1) if not step.forward else made.ravel()
        assert value is not None
        assert np.array_equal(value.ravel(), expected), str(path)


def test_cheaper_end_comes_first() -> None:
    # Few outputs at the first core: contracting it first shrinks the state at once.
    assert [s.first for s in contraction_steps((8, 2), (1, 8), (2,))] == [0, 1]
    assert [s.first for s in contraction_steps((2, 8), (8, 1), (2,))] == [1, 0]


def test_a_step_carries_what_is_made_and_what_comes_later() -> None:
    first, second, third = contraction_steps((7, 6, 4), (2, 3, 5), (8, 9))
    assert (first.lead, first.taken, first.made, first.trail) == (1, (1, 7), (2, 8), 24)
    assert (second.lead, second.taken, second.made, second.trail) == (2, (8, 6), (3, 9), 4)
    assert (third.lead, third.taken, third.made, third.trail) == (6, (9, 4), (5, 1), 1)
    back = contraction_steps((7, 6, 4), (2, 3, 5), (8, 9), ContractionPath.parse("2 0-1", 3))
    assert [(s.first, s.last, s.lead, s.taken, s.made, s.trail) for s in back] == [
        (2, 2, 42, (4, 1), (9, 5), 1),
        (0, 1, 1, (7, 6, 9), (1, 2, 3), 5),
    ]


def test_paths_are_all_groupings_from_both_ends() -> None:
    found = [str(path) for path in paths(3)]
    assert sorted(found) == sorted(["0-2", "0 1-2", "1-2 0", "0-1 2", "2 0-1", "0 1 2", "2 1 0"])
    assert all(str(ContractionPath.parse(text, 3)) == text for text in found)


@pytest.mark.parametrize(
    ("text", "cores", "message"),
    [
        ("0 2", 3, "must cover the cores"),
        ("0 1 1", 2, "must cover the cores"),
        ("0 x", 2, "neither a core nor a range"),
        ("0 1", 3, "covers 2 cores, the tensor train has 3"),
        (" ", 3, "names at least one core"),
    ],
)
def test_a_path_that_is_none_is_refused(text: str, cores: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContractionPath.parse(text, cores)


# QTTNet's layers (in modes, out modes): multiplications per voxel at rank 16, calculated from the modes and ranks of
# the authors' released networks ("QTTNet: Quantized tensor train neural networks for 3D object and video recognition").
LAYERS = {
    "64->64": ((4, 4, 4), (4, 4, 4)),
    "64->128": ((2, 4, 2, 4), (4, 2, 4, 4)),
    "128->128": ((4, 2, 4, 4), (4, 4, 2, 4)),
    "128->256": ((4, 2, 4, 4), (4, 4, 4, 4)),
    "256->256": ((4, 4, 4, 4), (4, 4, 4, 4)),
    "64->128 UCF11": ((4, 2, 4, 2), (2, 4, 4, 4)),
}


@pytest.mark.parametrize(
    ("layer", "forward", "backward", "best"),
    [
        ("64->64", 162_816, 162_816, 93_184),
        ("64->128", 232_448, 256_000, 143_360),
        ("128->128", 456_704, 325_632, 251_904),
        ("128->256", 595_968, 643_072, 317_440),
        ("256->256", 913_408, 913_408, 634_880),
        ("64->128 UCF11", 162_816, None, 88_064),
    ],
)
def test_multiplications_per_voxel_of_qttnet(layer: str, forward: int, backward: int | None, best: int) -> None:
    ins, outs = ((1, *modes) for modes in LAYERS[layer])
    ranks = (16,) * (len(ins) - 1)

    def of(path: ContractionPath) -> int:
        return cost(contraction_steps(ins, outs, ranks, path), taps=27)

    assert of(ContractionPath.core_by_core(len(ins))) == forward
    if backward is not None:
        assert of(ContractionPath.core_by_core(len(ins), forward=False)) == backward
    assert of(best_path(ins, outs, ranks, taps=27)) == best
    assert min(of(path) for path in paths(len(ins))) == best


MODELNET40 = [("64->64", 32**3), ("64->128", 11**3), *[("128->128", 11**3)] * 2]
MODELNET40 += [("128->256", 4**3), *[("256->256", 4**3)] * 2]
UCF11 = [("64->64", 50 * 30 * 40), ("64->128 UCF11", 13 * 8 * 10), ("128->128", 13 * 8 * 10)]
UCF11 += [("128->256", 4 * 3 * 3), ("256->256", 4 * 3 * 3)]


def network(layers: list[tuple[str, int]], rank: int) -> tuple[int, int, int]:
    """Millions of multiplications: core by core (the cheaper end for all layers), best path, dense."""
    ends, best, full = [0, 0], 0, 0
    for name, voxels in layers:
        ins, outs = ((1, *modes) for modes in LAYERS[name])
        ranks = (rank,) * (len(ins) - 1)
        for i, forward in enumerate((True, False)):
            path = ContractionPath.core_by_core(len(ins), forward)
            ends[i] += voxels * cost(contraction_steps(ins, outs, ranks, path), 27)
        best += voxels * cost(contraction_steps(ins, outs, ranks, best_path(ins, outs, ranks, 27)), 27)
        full += voxels * 27 * math.prod(ins) * math.prod(outs)
    return round(min(ends) / 1e6), round(best / 1e6), round(full / 1e6)


@pytest.mark.parametrize(
    ("rank", "modelnet40", "ucf11"),
    [
        (4, (665, 614, 5_379), (1_031, 958, 7_421)),
        (6, (1_250, 1_058, 5_379), (1_943, 1_635, 7_421)),
        (8, (2_003, 1_594, 5_379), (3_120, 2_445, 7_421)),
        (12, (4_015, 2_933, 5_379), (6_265, 4_454, 7_421)),
        (16, (6_701, 4_016, 5_379), (10_468, 5_979, 7_421)),
        (24, (14_093, 5_224, 5_379), (22_044, 7_277, 7_421)),
    ],
)
def test_multiplications_of_whole_qttnets(
    rank: int, modelnet40: tuple[int, int, int], ucf11: tuple[int, int, int]
) -> None:
    assert network(MODELNET40, rank) == modelnet40
    assert network(UCF11, rank) == ucf11
