import numpy as np
import torch

from qtt_hw.data import Augmentation, Samples, augment
from qtt_hw.fixedpoint import Format
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.training.batches import Batches, derived_seed, to_tensor

X = np.random.default_rng(0).integers(0, 2, size=(23, 4, 4, 4, 1), dtype=np.uint8)
SAMPLES = Samples(X, np.arange(23, dtype=np.int64) % 3)
CPU = torch.device("cpu")
HOW = Augmentation((0.5, 0.5, 0.5), (1, 1, 1))


def batches(batch: int = 5, seed: int = 0) -> Batches:
    return Batches(SAMPLES, input_spec((4, 4, 4, 1), 2), HOW, batch, seed, CPU)


def test_any_batch_can_be_made_alone() -> None:
    order = batches().order(3)
    assert sorted(order) == list(range(23)) and batches().per_epoch == 4
    for index in (3, 0):
        x, y = batches().make(3, index)
        chosen = order[index * 5 : index * 5 + 5]
        wanted = to_tensor(batches().spec, augment(X[chosen], HOW, 0, 3, chosen), CPU)
        assert torch.equal(x, wanted) and y.tolist() == SAMPLES.y[chosen].tolist()


def test_epoch_and_seed_change_the_order() -> None:
    assert len({batches(seed=s).order(e).tobytes() for s in (0, 1) for e in (0, 1)}) == 4


def test_a_batch_is_no_larger_than_the_set() -> None:
    assert batches(100).per_epoch == 1 and len(batches(100).make(0, 0)[1]) == 23


def test_some_batches_with_and_without_changes() -> None:
    plain = batches().some(2, 9, augmented=False)
    assert len(plain) == 2 and len(batches().some(99, 9)) == 4
    assert torch.equal(plain[0], to_tensor(batches().spec, X[batches().order(9)[:5]], CPU))
    assert not torch.equal(plain[0], batches().some(1, 9)[0])


def test_to_tensor_scales_by_frac_with_channels_last() -> None:
    spec = input_spec((1, 2, 3, 2), 1, 128, Format(8, True, 7))
    raw = np.arange(24, dtype=np.uint8).reshape(2, 1, 2, 3, 2) * 10
    x = to_tensor(spec, raw, CPU)
    assert x.shape == (2, 2, 1, 2, 3) and x.dtype == torch.float32
    assert np.array_equal(x.permute(0, 2, 3, 4, 1).numpy(), (raw.astype(np.float32) - 128) / 128)
    assert x.is_contiguous(memory_format=torch.channels_last_3d)


def test_derived_seeds_differ_and_fit() -> None:
    seeds = {derived_seed(s, *parts) for s in (0, 1) for parts in (("a",), ("b",), ("a", 0), ("a", 1), ("a", "b"))}
    assert len(seeds) == 10 and all(0 <= seed < 2**63 for seed in seeds)
