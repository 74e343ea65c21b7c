"""Which order of controls is reported, on pseudo-values of known spread."""

import numpy as np

from finitewidth.estimate.coupled.control_choice import choose, safe_order


def residuals(*spreads, tail=None):
    """Normal pseudo-values of each order; that of ``tail`` has one value that decides it."""
    x = np.random.default_rng(4).normal(size=(500, 1, 1)) * np.reshape(spreads, (-1, 1))
    if tail is not None:
        x[7, tail] = 40 * spreads[tail]
    return x


def test_an_order_is_safe_by_the_numbers_of_networks_and_neurons_alone():
    assert [safe_order(64, n, 3) for n in (100, 249, 250, 2999, 3000, 9999, 10_000)] == [
        0, 0, 1, 1, 2, 2, 3
    ]  # fmt: skip
    assert [safe_order(n, 10_000, 3) for n in (4, 5, 31, 32)] == [1, 2, 2, 3]
    assert safe_order(64, 10_000, 1) == 1


def test_the_smallest_error_is_no_reason_to_take_an_order_that_is_not_safe():
    x = residuals(1.0, 0.5, 0.01)
    assert choose(x, np.array([1]), 1) == 1
    assert choose(x, np.array([2]), 1) == 2
    # A square takes order 2 or none.
    assert choose(x, np.array([1]), 2) == 0
    assert choose(x, np.array([2]), 2) == 2


def test_an_order_that_is_doubted_or_does_not_pay_gives_way():
    assert choose(residuals(1.0, 0.5, 0.1, tail=2), np.array([2]), 1) == 1
    assert choose(residuals(1.0, 0.97), np.array([1]), 1) == 0
    # Where only rounding is left neither numbers nor tails matter.
    assert choose(residuals(1.0, 1e-8, tail=1), np.array([0]), 1) == 1
