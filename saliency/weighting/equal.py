"""The plain mean of the losses."""

from saliency.weighting.fixed import FixedWeighting


class EqualWeighting(FixedWeighting):
    """Minimise `1/K sum_k L_k`, the baseline that every other strategy has to beat.

    Source:
        Kurin et al., "In defense of the unitary scalarization for deep multi-task learning"
        (2022).
    """

    def __init__(self, task_count: int) -> None:
        super().__init__([1 / task_count] * task_count)
