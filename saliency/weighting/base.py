"""The one interface of all weighting strategies."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TaskWeighting(nn.Module):
    """Combine one loss a task into one scalar.

    Strategies are modules so that learned weights are parameters, running statistics are buffers,
    and both are saved and resumed with `state_dict`. K is the number of tasks.

    Attributes:
        current: (K,) weights of the last call, for logs.
    """

    current: Tensor

    def __init__(self, task_count: int) -> None:
        super().__init__()
        self.register_buffer("current", torch.ones(task_count), persistent=False)

    def forward(
        self, losses: Sequence[Tensor], present: Sequence[bool], shared: Sequence[Tensor] = ()
    ) -> Tensor:
        """Return the scalar to minimise.

        Args:
            losses: K scalars >= 0, one a task.
            present: K flags; an absent task's loss is not used.
            shared: Tensors of the graph that all tasks share (parameters of the encoder, or its
                output features), for strategies that look at gradients there. Others ignore it.

        Returns:
            Scalar with a gradient to every present loss; 0 if no task is present.
        """
        raise NotImplementedError
