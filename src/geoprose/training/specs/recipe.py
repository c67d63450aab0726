"""A recipe is data: stages in order, each saying what trains, on what, with which losses, for how many steps."""

from __future__ import annotations

import zlib
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import NameOrPlace, Place
from geoprose.training.specs.data import FeatureSpec, ImagePolicySpec
from geoprose.training.specs.schedule import Precision
from geoprose.training.specs.stage import StageSpec
from geoprose.training.specs.teacher import TeacherSpec


class RecipeSpec(Spec):
    """A whole training run."""

    name: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$")
    description: str = ""
    source: str = ""
    """Where the schedule comes from."""
    verified: str = ""
    """Test or run that proves it."""
    launch: str = ""
    """Command that runs it at its published size; says how each process takes its part of the published batch."""
    system: NameOrPlace
    """System preset or directory that training starts from."""
    scale: Literal["full", "tiny"] = "full"
    teacher: TeacherSpec | None = None
    """Whom the losses that compare with a teacher learn from; frozen throughout."""
    stages: tuple[StageSpec, ...] = Field(min_length=1)
    seed: NonNegativeInt = 0
    images: Literal["real", "blank"] = "real"
    """``blank``: every image's features are replaced by zeros, which trains a blind system."""
    features: FeatureSpec = FeatureSpec()
    image_policy: ImagePolicySpec = ImagePolicySpec()
    keep_checkpoints: PositiveInt = 2
    sharding: Literal["none", "full", "zero3"] = "none"
    """With several processes: ``none`` keeps the whole model in each (DDP), ``full`` cuts parameters, gradients and
    optimiser state over them (FSDP2), ``zero3`` has DeepSpeed cut them (ZeRO stage 3). The result is the same."""
    data_dir: Place = ""
    """Folder that the sources' paths are relative to; ``--data`` overrides it."""
    save_dtype: Precision = "fp32"
    trackers: tuple[Literal["jsonl", "tensorboard", "trackio", "mlflow", "wandb"], ...] = ("jsonl", "tensorboard")
    """Where the numbers go besides the terminal; jsonl and tensorboard are always written."""
    num_threads: PositiveInt | None = None
    """Threads of the arithmetic; None leaves torch's choice. Sums of two thread counts may differ in the last bit."""

    @model_validator(mode="after")
    def _check(self) -> RecipeSpec:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError("stage names must differ")
        if any(stage.lora is not None and not stage.lora.merge for stage in self.stages[:-1]):
            raise ValueError("lora.merge: false is for the last stage; later ones would train without the adapters")
        rounds = any(stage.lora is not None and stage.lora.quantise != "none" for stage in self.stages)
        if rounds and self.sharding != "none":
            raise ValueError("lora.quantise cannot be cut over processes: use sharding: none")
        needy = [loss.label for stage in self.stages for loss in stage.losses if loss.needs_teacher]
        if needy and self.teacher is None:
            raise ValueError(f"a teacher is needed by {', '.join(needy)}: give teacher: {{system: DIR}}")
        if needy and self.features.cache == "none":
            raise ValueError("a teacher reads cached features: use features.cache: user or run")
        return self

    def stage_seed(self, index: int) -> int:
        """Return the seed of stage ``index``; it depends on the stage's name, not on how many stages come before."""
        stage = self.stages[index]
        return self.seed * 1000 + zlib.crc32(stage.name.encode()) % 1000 if stage.seed is None else stage.seed
