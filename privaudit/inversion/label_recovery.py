"""The label, read off the last layer's gradient."""

from __future__ import annotations

import torch


def recover_labels(bias: torch.Tensor | None, weight: torch.Tensor | None) -> torch.Tensor:
    """The label of each sample from the gradient of the last fully connected layer, whatever its activations are.

    The derivative by logit j is p_j − 1[j = y]: negative for the label alone. The bias gradient is just that. Without a
    bias, row j of the weight gradient is (p_j − 1[j = y]) a, so the label's row has the largest norm, since
    1 − p_y = Σ p_j over the others. (With two classes both are equally long; then the label's row is taken to have the
    smaller sum, which holds for features that are never negative, as in iDLG.)

    Parameters
    ----------
    bias
        ``[B, K]`` or None.
    weight
        ``[B, K, D]``; needed only without a bias.

    Returns
    -------
    torch.Tensor
        int64 ``[B]``.
    """
    if bias is not None:
        return bias.argmin(1)
    if weight is None:
        raise ValueError("a label needs the gradient of the last layer's bias or weight")
    if weight.shape[1] == 2:
        return weight.sum(2).argmin(1)
    return weight.square().sum(2).argmax(1)
