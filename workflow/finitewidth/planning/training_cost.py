"""How much networks in training compute: every weight at each pass, or vectors that were met."""

from __future__ import annotations

from finitewidth.planning.member import Training


def passes(member: Training) -> float:
    """How often a network goes forwards and back, twice for each start.

    A step of gradient flow depends on the kernel, which nobody knows here: it is taken to be 2.
    """
    end = member.train.moments[-1]
    return 2 * (end if member.train.learning_rate is not None else 4 * 10 * end)


def met(member: Training, inputs: int) -> float:
    """Vectors that a matrix without weights meets of a start, the mean of both sides: of training
    inputs at each pass, and where networks are recorded of all inputs, and of kernels' rows."""
    taught, moments = member.training_inputs, len(member.train.moments)
    kernels = member.outputs * member.train.recorded_kernels(taught, inputs)
    forwards = passes(member) * taught + 2 * moments * (inputs - taught)
    return (forwards + passes(member) * taught + 2 * moments * kernels) / 2


def kept(member: Training, inputs: int) -> float:
    """Of those, the ones that do not depend on others, at most: rows of a basis."""
    return min(met(member, inputs), member.width)


def learning(member: Training, inputs: int, networks: float, weights: int) -> dict[str, float]:
    """Passes through layers and their weights; weights between hidden layers; neurons of vectors
    that these meet, and of those that vectors are held against, pass by pass."""
    each = networks * passes(member)
    found = {"passes": each * member.depth, "learnt": each * weights}
    between = networks * member.width * max(member.depth - 2, 0)
    neurons = between * met(member, inputs)
    again = kept(member, inputs) / (2 * member.training_inputs) * (1 + member.training_inputs / 5)
    found["hidden"] = between * member.width
    return found | {"met": neurons, "met again": neurons * again}
