from collections.abc import Callable
from pathlib import Path

import pytest

from saliency.experiments.ablation.study import Study

STUDY = """
about = "A study of a tiny network on drawn pictures."
base = "recipe.toml"
repetitions = 2
folds = [1]

[[arms]]
name = "saliency_only"
about = "one task"
overrides = { "model.aesthetics" = false, "model.guidance" = false }

[[arms]]
name = "aesthetics_only"
about = "one task"
overrides = { "model.saliency" = false, "model.guidance" = false }

[[arms]]
name = "guided"
about = "both tasks"

[[arms]]
name = "gate"
about = "a spatial gate"
overrides = { "model.guidance_form" = "gate" }

[[arms]]
name = "reverse"
about = "score attention"
overrides = { "model.guidance" = false, "model.score_attention" = true }

[[arms]]
name = "extra_data"
about = "maps by a teacher"
[arms.overrides]
"model.aesthetics" = false
"model.guidance" = false
"data.sets.rated.teacher" = "@saliency_only"

[[arms]]
name = "multi_label"
about = "both labels by teachers"
overrides = { "data.sets.rated.teacher" = "@saliency_only", "data.sets.drawn.teacher" = "@guided" }

[[arms]]
name = "shuffled"
about = "placebo"
overrides = { "data.sets.rated.shuffle_ratings" = true }

[[arms]]
name = "transfer"
about = "starts from the other task's encoder"
[arms.overrides]
"model.aesthetics" = false
"model.guidance" = false
"model.encoder_start" = "@aesthetics_only"

[[arms]]
name = "three_tasks"
about = "an attribute beside the two"
overrides = { "data.attributes" = [{ name = "shapes", classes = ["1", "2", "3"] }] }

[[arms]]
name = "three_stitched"
about = "the same, an encoder a task"
like = "three_tasks"
overrides = { "sharing.name" = "cross_stitch" }

[[comparisons]]
question = "Does the aesthetic task help?"
arm = "guided"
against = "saliency_only"
"""

RECIPE = """
[data]
height = 32
width = 32
sets = [
    { name = "drawn", layout = "drawn", count = 16 },
    { name = "rated", layout = "drawn", count = 16, rated = true },
]

[model]
encoder = "test_efficientnet"
pretrained = false
decoder_channels = 16

[train]
epochs = 1
warmup_steps = 1
"""


def write_study(folder: Path) -> Path:
    """Write a study of arms with everything that an arm can change."""
    (folder / "recipe.toml").write_text(RECIPE)
    path = folder / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def study_path(tmp_path: Path) -> Path:
    """The study's file, to be changed at will."""
    return write_study(tmp_path)


@pytest.fixture(scope="session")
def study_text() -> Callable[[Path], Study]:
    """Return a function that writes the study to a folder and loads it."""
    return lambda folder: Study.load(write_study(folder))
