"""The order of contraction of a TT-matrix: which modes each core takes in, carries along and puts out.

Core i of a TT-matrix has the modes (r[i], c[i], s[i], r[i+1]). Contracted one by one from either end, the state after
each core is a vector over labelled modes: input modes not yet contracted, output modes already made, one rank. This
module is the only place that knows in which order they stand; layers, stages and planner all ask here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["ChainStep", "Mode", "contract_chain", "contraction_steps", "cost", "final_order"]

#: A mode of the state: ("c", i) input, ("s", i) output, ("r", i) the rank left of core i.
Mode = tuple[Literal["c", "s", "r"], int]
State = tuple[tuple[Mode, int], ...]


@dataclass(frozen=True)
class ChainStep:
    """One core's contraction of the state, as integers over modes with their sizes; the last mode varies fastest.

    Parameters
    ----------
    core : int
        Which core.
    before : State
        The state that the step finds.
    carried, taken, made : State
        Modes kept, modes summed over and modes put out. The step reads (carried, taken) and leaves (carried, made).
    """

    core: int
    before: State
    carried: State
    taken: State
    made: State

    @property
    def order(self) -> tuple[int, ...]:
        """y[j] = x[order[j]]: from the state found to (carried, taken)."""
        return _order(self.before, self.carried + self.taken)

    @property
    def positions(self) -> int:
        return _size(self.carried)

    @property
    def in_size(self) -> int:
        return _size(self.taken)

    @property
    def out_size(self) -> int:
        return _size(self.made)

    @property
    def axes(self) -> tuple[int, ...]:
        """The core's axes (r, c, s, r') in the order made, then taken: its weight as [out, in] after a reshape."""
        index: dict[Mode, int] = {
            ("r", self.core): 0,
            ("c", self.core): 1,
            ("s", self.core): 2,
            ("r", self.core + 1): 3,
        }
        return tuple(index[mode] for mode, _ in self.made + self.taken)


def _size(state: State) -> int:
    return math.prod(size for _, size in state)


def _order(old: State, new: State) -> tuple[int, ...]:
    """Indices into a vector over the modes `old` that rearrange it to the modes `new`."""
    strides: dict[Mode, int] = {}
    stride = 1
    for mode, size in reversed(old):
        strides[mode] = stride
        stride *= size
    order = [0]
    for mode, size in new:  # an outer rank has size 1 and no place in the state
        order = [base + k * strides.get(mode, 0) for base in order for k in range(size)]
    return tuple(order)


def cost(in_modes: Sequence[int], out_modes: Sequence[int], ranks: Sequence[int], forward: bool) -> int:
    """Multiplications of the whole chain, from the first core on or from the last one back."""
    full = (1, *ranks, 1)
    total = 0
    for i in range(len(in_modes)):
        s, c = (out_modes[: i + 1], in_modes[i:]) if forward else (out_modes[i:], in_modes[: i + 1])
        total += math.prod(s) * math.prod(c) * full[i] * full[i + 1]
    return total


def contraction_steps(in_modes: Sequence[int], out_modes: Sequence[int], ranks: Sequence[int]) -> tuple[ChainStep, ...]:
    """The steps of y[s...] = sum over c... of W[c..., s...] * x[c...], from the end that needs fewer multiplications.

    Parameters
    ----------
    in_modes, out_modes : sequence of int, [d]
    ranks : sequence of int, [d - 1]
        Inner TT-ranks.
    """
    d = len(in_modes)
    full = (1, *ranks, 1)
    forward = cost(in_modes, out_modes, ranks, True) <= cost(in_modes, out_modes, ranks, False)
    state: State = tuple((("c", i), in_modes[i]) for i in range(d))
    steps: list[ChainStep] = []
    for i in range(d) if forward else reversed(range(d)):
        old, new = (i, i + 1) if forward else (i + 1, i)
        old_rank: State = ((("r", old), full[old]),)
        new_rank: State = ((("r", new), full[new]),)
        first = not steps
        last = len(steps) == d - 1
        taken: State = ((("c", i), in_modes[i]),) if first else (*old_rank, (("c", i), in_modes[i]))
        carried = tuple(mode for mode in state if mode not in taken)
        made: State = ((("s", i), out_modes[i]),) if last else ((("s", i), out_modes[i]), *new_rank)
        # The outer ranks are 1 and keep an axis in the core, so they are named there but never in the state.
        outer_in: State = old_rank if first else ()
        outer_out: State = new_rank if last else ()
        steps.append(ChainStep(i, state, carried, outer_in + taken, made + outer_out))
        state = carried + made
    return tuple(steps)


def final_order(steps: Sequence[ChainStep]) -> tuple[int, ...]:
    """y[j] = x[order[j]]: from the state after the last step to the output modes (s[0], s[1], ...)."""
    last = steps[-1]
    state = tuple(mode for mode in last.carried + last.made if mode[0][0] == "s")
    return _order(state, tuple(sorted(state)))


def contract_chain(x: Any, weights: Sequence[Any], steps: Sequence[ChainStep]) -> Any:
    """The chain applied to x [N, C] with weights [out, in] a step: [N, S]; numpy or torch."""
    for step, weight in zip(steps, weights, strict=True):
        x = x[:, list(step.order)].reshape(-1, step.in_size) @ weight.T
        x = x.reshape(-1, step.positions * step.out_size)
    return x[:, list(final_order(steps))]
