"""Channelized attention at the cost of plain attention.

The gate of Eq. 3.9 depends neither on the attended position m nor on the position j along the averaged axis,
so it leaves the sum over m, and the mean it is computed from is that of sums already at hand:

    Σ_m gate_i · α_ijm = gate_i · y_ij,    Σ_mj α_ijm / (h·w) = mean_j(y_ij) / h,    y_ij = Σ_m α_ijm.

Row i's gate is the same all along the row, so it leaves the row attention as well: channelized axial
attention is plain axial attention times two gates. Both are exact.
"""

from collections.abc import Callable

from caa.axial import attend_rows
from deeplab_ksac.tensor_ops import Tensor, ops
from deeplab_ksac.tensor_ops.maps import swap_axes


@ops.custom_gradient
def _keep_with_mean(lines):
    """[N, L, Q, C] -> the same and its mean over L, [N, Q, C]; the gradient needs no map of the mean's
    own."""

    def gradient(toward_lines, toward_mean):
        share = toward_mean / ops.cast(ops.shape(lines)[1], toward_mean.dtype)
        return toward_lines + ops.cast(share, lines.dtype)[:, ops.newaxis]

    return (ops.identity(lines), ops.mean(ops.at_least_float32(lines), axis=1)), gradient


@ops.custom_gradient
def _gate_rows(attended, gate):
    """attended [N, h, w, C], times its rows' gate [N, h, C] -> the product, and its mean over the rows [N, w, C]."""
    row_gate = ops.cast(gate, attended.dtype)[:, :, ops.newaxis]
    gated = attended * row_gate

    def gradient(toward_gated, toward_mean):
        share = toward_mean / ops.cast(ops.shape(attended)[1], toward_mean.dtype)
        toward_product = toward_gated + ops.cast(share, attended.dtype)[:, ops.newaxis]
        toward_gate = ops.sum(ops.at_least_float32(toward_product * attended), axis=2)
        with ops.control_dependencies([toward_gate]):
            return toward_product * row_gate, toward_gate

    return (gated, ops.mean(ops.at_least_float32(gated), axis=1)), gradient


def _gate_columns(gated, gate, recompute):
    """gated [N, h, w, C] times its columns' gate [N, w, C]; the backward pass takes `gated` from `recompute()`."""

    @ops.custom_gradient
    def product(gated, gate):
        column_gate = ops.cast(gate, gated.dtype)[:, ops.newaxis]

        def gradient(upstream):
            with ops.control_dependencies([upstream]):  # else it is computed right after the forward pass, and kept
                once_more = recompute()
            toward_gate = ops.sum(ops.at_least_float32(upstream * once_more), axis=1)
            with ops.control_dependencies([toward_gate]):
                return upstream * column_gate, toward_gate

        return gated * column_gate, gradient

    return product(gated, gate)


def channelize_axially(theta: Tensor, phi: Tensor, value: Tensor, column_gate: Callable, row_gate: Callable) -> Tensor:
    """Channelized axial attention (Eq. 3.11), factored.

    theta, phi [N, h, w, D], value [N, h, w, C] -> [N, h, w, C]. Plain axial attention times the gates of its rows and
    of its columns. The gradients are written out so that of the three maps (plain, once and twice gated) only the plain
    one is kept for the backward pass.

    Args:
        theta: query and key of the column attention.
        phi: query and key of the row attention.
        value: the value g.
        column_gate: mean features of the rows [N, h, C], from the column attention -> their gate (Eq. 3.9).
        row_gate: mean features of the columns [N, w, C], from the row attention -> their gate (Eq. 3.10).
    """
    height, width = (ops.cast(ops.shape(value)[axis], ops.at_least_float32(value).dtype) for axis in (1, 2))
    columns, mean = _keep_with_mean(attend_rows(swap_axes(theta), swap_axes(value)))
    gate_of_rows = column_gate(mean / height)
    attended = attend_rows(phi, swap_axes(columns))
    gated, mean = _gate_rows(attended, gate_of_rows)
    gate_of_columns = row_gate(mean / width)
    return _gate_columns(
        gated,
        gate_of_columns,
        lambda: attended * ops.cast(gate_of_rows, attended.dtype)[:, :, ops.newaxis],
    )


def channelize_pixels(attended: Tensor, attended_positions: Tensor, gate: Callable) -> Tensor:
    """Channelized self-attention, factored: weights the sums [N, P, C] by the gate of each, its α's mean."""
    mean = ops.at_least_float32(attended) / ops.cast(attended_positions, ops.at_least_float32(attended).dtype)
    return attended * ops.cast(gate(mean), attended.dtype)
