"""The teacher: a frozen system that a student learns from."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geoprose.core.errors import ConfigError
from geoprose.training.access import picture_encoder
from geoprose.training.precision import DTYPES

if TYPE_CHECKING:
    from geoprose.data.collator import Row
    from geoprose.data.mixture import Unit
    from geoprose.training.pictures.vision import Vision
    from geoprose.training.specs.recipe import RecipeSpec
    from geoprose.training.specs.teacher import TeacherSpec

logger = logging.getLogger(__name__)

TEACHER_FEATURES = "teacher_features"
"""Name in a batch of what the teacher's own encoder says about the pictures (N, P, E)."""
_SHOWN_DIFFERENCES = 5
_TOKENIZER_PARTS = ("normalizer", "pre_tokenizer", "model")


@dataclass(frozen=True)
class Teacher:
    """A frozen system and where it sees the pictures of a stage.

    Attributes:
        system: Model, in evaluation mode, and processor.
        vision: Its own features of the stage's pictures; None where the student's features are its own as well.
    """

    system: Any
    vision: Vision | None = None

    @property
    def model(self) -> Any:
        """The frozen model."""
        return self.system.model

    @property
    def num_visual_tokens(self) -> int:
        """Visual tokens of one picture."""
        return int(self.system.processor.num_visual_tokens)

    def seeing(self, vision: Vision | None) -> Teacher:
        """Return this teacher with its own features of the pictures."""
        return replace(self, vision=vision)

    def add_pictures(self, row: Row, unit: Unit) -> None:
        """Attach the teacher's own features of the unit's pictures, if it has its own; once, whoever asks."""
        if self.vision is None or TEACHER_FEATURES in row.targets:
            return
        if not unit.images:
            encoder = picture_encoder(self.model)
            row.targets[TEACHER_FEATURES] = np.zeros((0, encoder.num_patches(), encoder.hidden_size), np.float16)
            return
        features = self.vision.load(self.system, [Path(unit.root) / image for image in unit.images])
        # Why float16: NumPy has no bfloat16, and the cache's default format is float16.
        exact = features if features.dtype == torch.float16 else features.float()
        row.targets[TEACHER_FEATURES] = exact.numpy()

    def content_hash(self) -> str:
        """Return the SHA-256 of the teacher's weights and of its tokenizer."""
        digest = hashlib.sha256(self.system.processor.tokenizer.backend_tokenizer.to_str().encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def move_to(self, device: torch.device) -> None:
        """Bring the model to the student's device; does nothing when it is there."""
        if next(self.model.parameters()).device != device:
            self.model.to(device)


def load_teacher(spec: TeacherSpec | None, student: Any) -> Teacher | None:
    """Return the teacher of a recipe, frozen and in evaluation mode; None without one.

    Args:
        spec: The entry of the recipe.
        student: The system that trains.

    Raises:
        PresetError: If there is no such system.
        ResourceError: If its folder or weights are missing.
        ConfigError: If its tokenizer differs from the student's.
    """
    if spec is None:
        return None
    from geoprose.systems.build import build_system
    from geoprose.systems.load import answering, load_system

    if spec.scale == "tiny":
        built = build_system(spec.system, scale="tiny", seed=spec.seed)
    else:
        built = load_system(spec.system)
    teacher = answering(built)
    check_tokenizers(teacher, student)
    for name, theirs, ours in different_prompts(teacher, student):
        logger.warning(
            "The teacher's prompt.%s is %r, the student's %r: the teacher reads the student's prompts, which it was "
            "not trained on.",
            name,
            theirs,
            ours,
        )
    teacher.model.requires_grad_(False)
    teacher.model.to(DTYPES[spec.precision]).eval()
    return Teacher(teacher)


def distils(recipe: RecipeSpec) -> bool:
    """Tell whether a loss of the recipe reads the teacher."""
    return any(loss.needs_teacher for stage in recipe.stages for loss in stage.losses)


def check_distils(recipe: RecipeSpec) -> None:
    """Refuse a recipe without a teacher, or without a loss that reads it.

    Raises:
        ConfigError: Naming what is missing.
    """
    if recipe.teacher is None:
        raise ConfigError(
            f"Recipe {recipe.name} names no teacher. Give one with --teacher DIR, or `teacher: {{system: DIR}}` in it."
        )
    if not distils(recipe):
        raise ConfigError(
            f"No stage of recipe {recipe.name} has a loss that reads the teacher, so nothing would be distilled. Add "
            "kd_offline, gkd, reverse_kl_on_policy, minillm or feature_alignment, or train it with `geoprose train`."
        )


def check_pictures(teacher: Any, student: Any = None) -> None:
    """Refuse systems whose pictures the engine cannot give to both, before any data is read.

    The teacher reads the student's rows with every picture stretched or shrunk to its own number of tokens, so a
    picture must be one run of tokens for both.

    Args:
        teacher: System of the teacher.
        student: System that learns from it; None if nothing does.

    Raises:
        ConfigError: If one of them is no decoder-only composite or may cut a picture into several tiles, or the
            teacher's connector reads the question.
    """
    for system, role in ((teacher, "a teacher"), (student, "a student of one")):
        if system is not None and not _has_plain_pictures(system.spec):
            raise ConfigError(
                f"{system.spec.name} cannot be {role}: teachers and students are composites whose pictures are one run "
                "of tokens each, with resolution fixed and packer flat."
            )
    if teacher.processor.condition_tokenizer is not None:
        raise ConfigError(
            f"{teacher.spec.name} cannot be a teacher: its connector reads the question; teachers read pictures alone."
        )


def _has_plain_pictures(spec: Any) -> bool:
    return bool(spec.kind == "composite" and spec.resolution.type == "fixed" and spec.packer.type == "flat")


def check_tokenizers(teacher: Any, student: Any) -> None:
    """Refuse a teacher whose tokens are not the student's: probabilities of other tokens cannot be compared.

    Raises:
        ConfigError: Naming the first tokens that differ, or the step of tokenisation that does.
    """
    theirs, ours = (system.processor.tokenizer for system in (teacher, student))
    differences = different_tokens(theirs.get_vocab(), ours.get_vocab())
    if not differences:
        parts = [json.loads(tokenizer.backend_tokenizer.to_str()) for tokenizer in (theirs, ours)]
        names = [name for name in _TOKENIZER_PARTS if parts[0].get(name) != parts[1].get(name)]
        differences = [f"the {name.replace('_', '-')} settings differ" for name in names]
    if not differences:
        return
    shown = "; ".join(differences[:_SHOWN_DIFFERENCES])
    more = len(differences) - _SHOWN_DIFFERENCES
    raise ConfigError(
        f"Teacher {teacher.spec.name} and student {student.spec.name} do not share a tokenizer: {shown}"
        f"{f' and {more} more' if more > 0 else ''}. Distillation compares probabilities token by token; take a "
        "teacher of the same family, or train one on the student's language model."
    )


def different_tokens(theirs: dict[str, int], ours: dict[str, int]) -> list[str]:
    """Return one line for every id that two vocabularies give to different tokens, in order of the ids."""
    by_id_theirs = {index: token for token, index in theirs.items()}
    by_id_ours = {index: token for token, index in ours.items()}
    return [
        f"token {index} is {_spoken(by_id_theirs.get(index))} for the teacher, {_spoken(by_id_ours.get(index))} for "
        "the student"
        for index in sorted({*by_id_theirs, *by_id_ours})
        if by_id_theirs.get(index) != by_id_ours.get(index)
    ]


def different_prompts(teacher: Any, student: Any) -> list[tuple[str, Any, Any]]:
    """Return name, teacher's and student's value of every field of the prompt format that differs."""
    theirs, ours = (system.spec.prompt.model_dump() for system in (teacher, student))
    return [(name, theirs.get(name), ours[name]) for name in ours if theirs.get(name) != ours[name]]


def _spoken(token: str | None) -> str:
    return "absent" if token is None else repr(token)
