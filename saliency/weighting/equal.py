"""The plain mean of the losses."""

from saliency.weighting.fixed import FixedWeighting


class EqualWeighting(FixedWeighting):
    """Minimise `1/K sum_k L_k`, the baseline that every other strategy has to beat.

    Example:
        >>> import torch
        >>> weighting = EqualWeighting(2)
        >>> float(weighting([torch.tensor(2.0), torch.tensor(4.0)], [True, True]))
        3.0

    Source:
        Kurin et al., "In defense of the unitary scalarization for deep multi-task learning"
        (2022).
    """

    def __init__(self, task_count: int) -> None:
        super().__init__([1 / task_count] * task_count)
