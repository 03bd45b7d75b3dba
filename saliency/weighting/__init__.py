"""Strategies that turn one loss a task into one scalar to minimise."""

from saliency.errors import ConfigError
from saliency.tasks import Task
from saliency.weighting.base import TaskWeighting
from saliency.weighting.equal import EqualWeighting
from saliency.weighting.fixed import FixedWeighting
from saliency.weighting.uncertainty import UncertaintyWeighting

__all__ = [
    "WEIGHTINGS",
    "EqualWeighting",
    "FixedWeighting",
    "TaskWeighting",
    "UncertaintyWeighting",
    "build_weighting",
]

WEIGHTINGS = ("uncertainty", "equal", "fixed")


def build_weighting(
    name: str, tasks: tuple[Task, ...], fixed: dict[str, float] | None = None
) -> TaskWeighting:
    """Return the strategy called `name` for `tasks`.

    Args:
        name: One of `WEIGHTINGS`.
        tasks: What is learned, in the order of the losses.
        fixed: Task name -> weight, for `fixed` alone.

    Raises:
        ConfigError: Unknown name, or weights that do not match the tasks.
    """
    if name == "uncertainty":
        return UncertaintyWeighting([task.likelihood for task in tasks])
    if name == "equal":
        return EqualWeighting(len(tasks))
    if name == "fixed":
        names = [task.name for task in tasks]
        if fixed is None or sorted(fixed) != sorted(names):
            raise ConfigError(
                f"`weighting.fixed` should give one weight for each of {names}. "
                f"Found {sorted(fixed or ())}."
            )
        return FixedWeighting([fixed[task_name] for task_name in names])
    raise ConfigError(f"`weighting.name` should be one of {', '.join(WEIGHTINGS)}. Found {name!r}.")
