"""Dynamic and static codebooks: the published values and both gradients, and what happens at a power of two."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qtt_hw.codebook import Codebook
from qtt_hw.quant.powers_of_two import DynamicCodebook, StaticCodebook, top_exponent


def published(w: float, top: int, bits: int, zero: bool) -> float:
    """The quantiser as the paper writes it, for magnitudes 2**n1 to 2**n2."""
    n2 = top
    n1 = n2 - 2 ** (bits - 1) + 1
    size, sign = abs(w), -1.0 if w < 0 else 1.0
    if size >= 1.5 * 2.0**n2:
        return sign * 2.0**n2
    for k in range(n1 + 1, n2 + 1):
        if 0.75 * 2.0**k <= size < 1.5 * 2.0**k:
            return sign * 2.0**k
    return 0.0 if zero else sign * 2.0**n1


@given(st.integers(2, 6), st.booleans(), st.integers(-6, 3), st.integers(0, 1000))
def test_values_are_the_published_ones(bits: int, zero: bool, exponent: int, seed: int) -> None:
    weight = torch.randn(40, generator=torch.Generator().manual_seed(seed)) * 2.0**exponent
    weight[:6] = torch.tensor([0.75, 0.375, 1.5, -0.75, 0.0, 0.1875]) * 2.0**exponent
    quantizer = DynamicCodebook(bits, zero)
    top = math.floor(math.log2(float(weight.abs().max())))
    book = quantizer.format_of(weight)
    assert book == Codebook.of_top(bits, zero, top)
    expected = [published(w, top, bits, zero) for w in weight.tolist()]
    assert quantizer(weight).tolist() == expected
    assert (quantizer.integers(weight) * 2.0**-book.frac).tolist() == expected
    # Every value has a code, and comes back from it.
    integers = quantizer.integers(weight).to(torch.int64).numpy()
    assert (book.decode(book.encode(integers)) == integers).all()


def test_the_two_gradients_differ_by_the_quantised_size() -> None:
    """The published one multiplies by |q|: a weight at 0 gets nothing, one at 1/4 a quarter of the plain one's."""
    values = [1.0, -0.5, 0.26, 0.01, -0.02]
    incoming = torch.tensor([1.0, 2.0, -4.0, 8.0, 16.0])
    found = {}
    for gradient in ("scaled", "straight"):
        weight = torch.tensor(values, requires_grad=True)
        quantized = DynamicCodebook(3, zero=True, gradient=gradient)(weight)
        assert quantized.tolist() == [1.0, -0.5, 0.25, 0.0, 0.0]
        (quantized * incoming).sum().backward()
        found[gradient] = weight.grad.tolist()
    assert found["straight"] == incoming.tolist()
    assert found["scaled"] == [1.0, 1.0, -1.0, 0.0, 0.0]


def test_a_zeroed_weight_returns_only_with_the_plain_gradient() -> None:
    """The same steps of descent towards a large weight: scaled, it never leaves 0; straight, it does."""
    ends = {}
    for gradient in ("scaled", "straight"):
        weight = torch.tensor([1.0, 0.05], requires_grad=True)
        quantizer = DynamicCodebook(3, zero=True, gradient=gradient)
        for _ in range(20):
            (loss,) = torch.autograd.grad((quantizer(weight)[1] - 0.5).square(), weight)
            weight = (weight.detach() - 0.1 * loss).requires_grad_()
        ends[gradient] = quantizer(weight)[1].item()
    assert ends == {"scaled": 0.0, "straight": 0.5}


def test_the_codebook_follows_the_largest_weight_in_every_pass_and_counts_its_crossings() -> None:
    weight = torch.tensor([0.9, 0.3])
    quantizer = DynamicCodebook(4)
    quantizer.calibrate(weight)
    tops, counts = [], []
    for largest in (0.9, 0.99, 1.0, 1.9, 2.5, 0.6):
        quantizer(torch.tensor([largest, 0.3]))
        tops.append(quantizer.format_of(torch.tensor([largest, 0.3])).top)
        counts.append(quantizer.crossings)
    assert tops == [-1, -1, 0, 0, 1, -1]
    assert counts == [0, 0, 1, 1, 2, 3]
    # Looking at the weights does not count, nor does evaluation.
    quantizer.eval()(torch.tensor([8.0, 1.0]))
    assert quantizer.crossings == 3


def test_a_static_codebook_stays_and_differs_only_after_a_crossing() -> None:
    dynamic, static = DynamicCodebook(3), StaticCodebook(3)
    for quantizer in (dynamic, static):
        quantizer.calibrate(torch.tensor([0.9, -0.3, 0.1]))
    within, beyond = torch.tensor([0.6, 0.2, 0.05]), torch.tensor([1.1, 0.2, 0.05])
    assert torch.equal(dynamic(within), static(within))
    assert dynamic(beyond).tolist() == [1.0, 0.25, 0.125] and static(beyond).tolist() == [0.5, 0.25, 0.0625]
    assert static.crossings == dynamic.crossings == 1
    other = StaticCodebook(3)
    other.load_state_dict(static.state_dict())
    assert torch.equal(other(beyond), static(beyond)) and other.crossings == 1


@given(st.floats(2.0**-100, 2.0**100, width=32))
def test_the_top_exponent_is_exact(value: float) -> None:
    top = top_exponent(torch.tensor([-value, value / 2]))
    assert 2.0**top <= value < 2.0 ** (top + 1)


@pytest.mark.parametrize(
    ("weight", "message"),
    [([0.0, 0.0], "all its weights are 0"), ([1.0, math.nan], "not finite"), ([math.inf, 1.0], "not finite")],
)
@pytest.mark.parametrize("kind", [DynamicCodebook, StaticCodebook])
def test_weights_without_a_codebook(kind: type, weight: list[float], message: str) -> None:
    values = torch.tensor(weight)
    for call in (kind(4).calibrate, kind(4).format_of, kind(4)):
        with pytest.raises(ValueError, match=message):
            call(values)


@pytest.mark.parametrize("bits", [1, 7])
def test_impossible_bits(bits: int) -> None:
    with pytest.raises(ValueError, match=f"codebook bits must be 2 to 6, got {bits}"):
        DynamicCodebook(bits)
