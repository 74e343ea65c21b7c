"""Tangent kernels without weights in numpy alone: the fused kernels are held against them.

Formulas of docs/theory.md, section 10.1, in natural units, in double precision, with inverses of
matrices: for inputs that are independent and fewer than neurons. Nothing here comes from kernels.
"""

import numpy as np

from plain_networks import normals

#: Mistakes that one can make on the way back, each told by tests of distribution.
MISTAKES = (
    "what is known of the weights is drawn again",
    "the span is not taken out of what is drawn",
    "biases are taken for known",
    "each input draws for itself",
    "slopes of another input",
)


def _transposed(a):
    return np.swapaxes(a, -1, -2)


def _root(gram):
    """Cholesky's factor, with a column of zeros for each row that depends on those before it."""
    rest, factor = gram.copy(), np.zeros_like(gram)
    for a in range(gram.shape[1]):
        pivot = rest[:, a, a]
        alive = pivot > 1e-10 * gram[:, a, a]
        root = np.sqrt(np.where(alive, pivot, 1.0))
        factor[:, a:, a] = np.where(alive[:, None], rest[:, a:, a] / root[:, None], 0.0)
        rest -= factor[:, :, a, None] * factor[:, None, :, a]
    return factor


def named(seed, name, numbers):
    """What the kernels draw for the networks of these numbers."""

    def draw(stream, layer, rows, width):
        return np.array(
            [
                [normals(seed, name, int(k), layer, r, width, stream) for r in range(rows)]
                for k in numbers
            ]
        )

    return draw


def tangents(mlp, rates, x, draw, outputs, mistake=""):
    """Tangent kernels (network, output, output, input, input), outputs (network, output, input)
    and covariances of the last layer (network, input, input).

    Parameters
    ----------
    draw : callable
        ``draw(stream, layer, rows, width)`` gives normals, shape (networks, rows, width).
    mistake : str
        One of ``MISTAKES``, to be made.
    """
    inputs, depth, k = len(x), mlp.depth, outputs
    covariance = (mlp.C_b[0] + mlp.C_W[0] / mlp.widths[0] * (x @ x.T))[None]
    drawn, active, slopes, factors = [None], [x[None]], [None], [None]
    for layer in range(1, depth + 1):
        u = draw("networks", layer, inputs, mlp.widths[layer])
        factors.append(np.linalg.cholesky(covariance) if inputs > 1 else np.sqrt(covariance))
        z = factors[-1] @ u
        drawn.append(u)
        if layer == depth:
            break
        active.append(mlp.activation.function(z))
        slopes.append(mlp.activation.derivative(z))
        gram = active[-1] @ _transposed(active[-1])
        covariance = mlp.C_b[layer] + mlp.C_W[layer] / mlp.widths[layer] * gram
    networks = len(z)

    def term(layer, gram):
        s = active[layer - 1] @ _transposed(active[layer - 1])
        rate = rates.lambda_b[layer - 1] + rates.lambda_W[layer - 1] / mlp.widths[layer - 1] * s
        gram = gram.reshape(networks, k, inputs, k, inputs).transpose(0, 1, 3, 2, 4)
        return gram * rate[:, None, None]

    # Rows (output, input): an output's derivatives are the same for all inputs.
    rows = np.repeat(np.eye(k, mlp.widths[depth])[None], networks, axis=0)
    same = np.kron(np.eye(k), np.ones((inputs, inputs)))
    theta = term(depth, np.repeat(same[None], networks, axis=0))
    for layer in range(depth - 1, 0, -1):
        n, C_b, C_W = mlp.widths[layer], mlp.C_b[layer], mlp.C_W[layer]
        inverse = np.linalg.inv(factors[layer + 1])
        span = np.sqrt(C_W / n) * inverse @ active[layer]
        fresh = draw("back", layer, rows.shape[1], n)
        bias = draw("back biases", layer, 1, rows.shape[1])[:, 0]
        if mistake == "biases are taken for known":
            bias = 0 * bias
        root = _root(rows @ _transposed(rows))
        lost = fresh @ _transposed(span)
        lost = lost + np.sqrt(C_b) * bias[:, :, None] * inverse.sum(2)[:, None]
        if mistake == "the span is not taken out of what is drawn":
            lost = 0 * lost
        known = rows @ _transposed(drawn[layer + 1])
        mixed = known - root @ lost
        if mistake == "what is known of the weights is drawn again":
            mixed = 0 * mixed
        if mistake == "each input draws for itself":
            root = np.linalg.norm(root, axis=2, keepdims=True) * np.eye(rows.shape[1])
        back = np.sqrt(C_W / n) * (root @ fresh + mixed @ span)
        if layer == depth - 1:
            back = np.repeat(back, inputs, axis=1)
        gates = slopes[layer][:, ::-1] if mistake == "slopes of another input" else slopes[layer]
        rows = back * np.tile(gates, (1, k, 1))
        theta = theta + term(layer, rows @ _transposed(rows))
    covariance = np.broadcast_to(covariance, (networks, inputs, inputs))
    return theta, z[:, :, :k].transpose(0, 2, 1), covariance
