"""What one stage of a recipe is, in numbers that depend on no accelerator: weights, operations, kept bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ProcessingError
from geoprose.systems.build import build_meta_model
from geoprose.systems.cost import visual_tokens
from geoprose.training.planner import trace
from geoprose.training.planner.dense import PER_BATCH, PER_PICTURE, trace_dense
from geoprose.training.planner.dual import trace_towers
from geoprose.training.planner.seq2seq import trace_seq2seq
from geoprose.training.planner.workload import RowShape, Workload, row_shape
from geoprose.training.session import enter_stage
from geoprose.training.system_spec import spec_of

if TYPE_CHECKING:
    from geoprose.training.specs.recipe import RecipeSpec
    from geoprose.training.specs.stage import StageSpec

SMALLEST_PICTURE_PX = 112
"""A system without tiles names the side of a patch as its size; its pictures are then taken to be ``PLAIN_PX``."""
PLAIN_PX = 448
PLANNED_KINDS = ("composite", "encoder_decoder", "dual_encoder", "dense")
REPRESENTING = {"itc": 1, "itm": 3, "itg": 1}
"""Passes of the Q-Former that each loss of BLIP-2's first stage takes."""


@dataclass(frozen=True)
class StageFacts:
    """One stage, whatever it runs on.

    Attributes:
        name: Name of the stage.
        trained: Numbers that train.
        trained_by_part: The same for each part.
        frozen_bytes: Memory of the weights that do not train, in the formats of the stage.
        block_bytes: Memory of the weights of one layer of the language model, which sharding gathers to use it.
        copied_bytes: Memory of the 16-bit copies that autocast makes of float32 weights.
        row: What a row holds.
        pieces: Cost of each part; of a picture for those in ``per_picture``, of a micro-batch for those in
            ``per_batch``, of a row for the others.
        per_picture: Parts that run once for each picture.
        per_batch: Parts that run once for a micro-batch, however many rows it has.
        cached: Whether the encoder's output is read from a cache instead of being computed in each step.
        feature_numbers: Numbers that the cache keeps for a picture.
        teacher_bytes: Memory of the teacher's weights.
        teacher: Cost of the teacher's forward pass over a row.
        pair_bytes: Bytes that every pair of a batch costs with every other, for losses that compare them.
        notes: What the figures leave out.
    """

    name: str
    trained: int
    trained_by_part: dict[str, int]
    frozen_bytes: int
    block_bytes: int
    row: RowShape
    pieces: dict[str, trace.Piece]
    per_picture: frozenset[str]
    cached: bool
    feature_numbers: int
    per_batch: frozenset[str] = frozenset()
    copied_bytes: int = 0
    teacher_bytes: int = 0
    teacher: tuple[trace.Piece, ...] = ()
    pair_bytes: int = 0
    notes: tuple[str, ...] = ()

    def runs(self, part: str, rows: int) -> float:
        """Return how often a part runs for a micro-batch of ``rows`` rows."""
        if part in self.per_batch:
            return 1.0
        return rows * (self.row.pictures if part in self.per_picture else 1.0)


def stage_facts(recipe: RecipeSpec, index: int, workload: Workload) -> StageFacts:
    """Measure a stage on the meta device; takes seconds and no memory, whatever the size of the system.

    Raises:
        ProcessingError: If the planner has no rule for this kind of system, or its parts cannot run without data.
    """
    stage = recipe.stages[index]
    # Why without checkpointing: what layers keep would be invisible. Why bf16: accelerators multiply it in hardware.
    precision = "bf16" if stage.precision == "auto" else stage.precision
    stage = stage.model_copy(update={"gradient_checkpointing": False, "precision": precision})
    spec = spec_of(recipe.system, recipe.scale)
    if spec.kind not in PLANNED_KINDS:
        raise ProcessingError(
            f"System {spec.name} is of kind {spec.kind}, which no loss trains; plans are made of systems of kind "
            f"{', '.join(PLANNED_KINDS)}."
        )
    model = build_meta_model(spec)
    with torch.device("meta"):
        report = enter_stage(model, stage, 0)
    common = {
        "name": stage.name,
        "trained": report.num_trainable,
        "trained_by_part": report.modules,
        "frozen_bytes": sum(_bytes(p) for p in model.parameters() if not p.requires_grad),
    }
    try:
        if spec.kind == "dual_encoder":
            return _of_towers(spec, model, workload, common, recipe.features.cache != "none")
        if spec.kind == "dense":
            return _of_dense(spec, model, workload, common)
        return _of_composite(recipe, stage, (spec, model), workload, common)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ProcessingError(f"The cost of {spec.name} cannot be counted without data: {error}") from error


def picture_of(spec: Any, workload: Workload) -> tuple[int, int]:
    """Return the size of a picture: the workload's, or the system's own."""
    side = int(spec.resolution.image_size)
    side = side if side >= SMALLEST_PICTURE_PX else PLAIN_PX
    return workload.picture_px or (side, side)


def _of_composite(
    recipe: RecipeSpec, stage: StageSpec, system: tuple[Any, Any], workload: Workload, common: dict[str, Any]
) -> StageFacts:
    spec, model = system
    picture = picture_of(spec, workload)
    passes = sum(REPRESENTING.get(loss.type, 0) for loss in stage.losses)
    head_dtype, copied = trace.dtype_of(model.lm_head), 0
    if stage.precision == "bf16" and not passes:  # the losses of pairs compute outside of the pass that is cast
        copied = 2 * sum(p.numel() for p in model.model.parameters() if p.requires_grad)
        model.model.to(torch.bfloat16)
    encoder, shape = trace.trace_encoder(spec, model, picture)
    is_media = spec.packer.type == "media"  # one placeholder in the text, its tokens are read by cross-attention
    tokens = 1 if is_media else visual_tokens(spec, model, *picture)
    row = row_shape(stage, workload, tokens)
    pieces = {"vision_encoder": encoder}
    if shape is not None:
        pieces["connector"] = trace.trace_connector(spec, model, shape, picture)
    if passes:
        pieces |= {f"connector again {number}": pieces["connector"] for number in range(2, passes + 1)}
        row = RowShape(workload.text_tokens, 0, float(workload.pictures), 1.0)
    else:
        language = _trace_language(model, row)
        model.lm_head.to(head_dtype)
        pieces |= {**language, "head": trace.trace_head(model, row.answers, [*language.values()][-1].has_gradient)}
    layers = _language_layers(model)
    teacher_bytes, teacher = _teacher(recipe, row, any(loss.needs_teacher for loss in stage.losses))
    return StageFacts(
        **common,
        block_bytes=sum(_bytes(p) for layer in layers for p in layer.parameters()) // len(layers),
        row=row,
        copied_bytes=copied,
        pieces=pieces,
        per_picture=frozenset(name for name in pieces if name.startswith(("vision", "connector"))),
        cached=recipe.features.cache != "none" and shape is not None and not encoder.has_gradient,
        feature_numbers=0 if shape is None else int(torch.Size(shape).numel()),
        teacher_bytes=teacher_bytes,
        teacher=teacher,
        notes=_notes(model, stage),
    )


def _trace_language(model: Any, row: RowShape) -> dict[str, trace.Piece]:
    """Return the cost of a row in the language model; what gives the states that the head reads comes last."""
    if model.config.is_encoder_decoder:
        return trace_seq2seq(model, row)
    return {"language_model": trace.trace_language_model(model, row)}


def _language_layers(model: Any) -> list[Any]:
    language_model = model.model.language_model
    if model.config.is_encoder_decoder:
        return [*language_model.encoder.block, *language_model.decoder.block]
    return list(language_model.layers)


def _of_towers(spec: Any, model: Any, workload: Workload, common: dict[str, Any], has_cache: bool) -> StageFacts:
    pieces = trace_towers(spec, model, picture_of(spec, workload), workload.text_tokens)
    layers = max(1, pieces["vision"].blocks)
    return StageFacts(
        **common,
        block_bytes=sum(_bytes(p) for p in model.vision.parameters()) // layers,
        row=RowShape(min(workload.text_tokens, spec.text_encoder.max_length), 0, 1.0, 1.0),
        pieces=pieces,
        per_picture=frozenset({"vision"}),
        cached=has_cache and not pieces["vision"].has_gradient,
        feature_numbers=model.vision.width,
        pair_bytes=3 * 4,  # similarities, their softmax and its gradient, float32
    )


def _of_dense(spec: Any, model: Any, workload: Workload, common: dict[str, Any]) -> StageFacts:
    pieces = trace_dense(spec, model, workload.text_tokens)
    return StageFacts(
        **common,
        block_bytes=sum(_bytes(p) for p in model.vision.parameters()) // max(1, pieces["vision"].blocks),
        row=RowShape(min(workload.text_tokens, spec.text_encoder.max_length), 0, float(model.head.num_dates), 1.0),
        pieces=pieces,
        per_picture=PER_PICTURE,
        per_batch=PER_BATCH,
        cached=False,  # masks are learnt from pixels
        feature_numbers=0,
        notes=("the text of a row is the prompts of the classes, read once a micro-batch",),
    )


def _teacher(recipe: RecipeSpec, row: RowShape, is_needed: bool) -> tuple[int, tuple[trace.Piece, ...]]:
    """Return the memory of the teacher's weights and the cost of its pass over a row."""
    if recipe.teacher is None or not is_needed:
        return 0, ()
    model = build_meta_model(spec_of(recipe.teacher.system, recipe.teacher.scale)).requires_grad_(False)
    model.to(torch.bfloat16 if recipe.teacher.precision == "bf16" else torch.float32)
    pieces = (trace.trace_language_model(model, row), trace.trace_head(model, row.answers, False))
    return sum(_bytes(p) for p in model.parameters()), pieces


def _notes(model: Any, stage: StageSpec) -> tuple[str, ...]:
    notes = []
    if getattr(model.model, "branches", None) is not None:
        notes.append("branches for other modalities are weighed and not timed")
    if sum(parameter.numel() for parameter in model.model.fusion.parameters()):
        notes.append("layers between those of the language model are weighed and not timed")
    if any(loss.type in ("minillm", "reverse_kl_on_policy") or getattr(loss, "on_policy", 0) for loss in stage.losses):
        notes.append("sampling the student's answers comes on top")
    return tuple(notes)


def _bytes(parameter: torch.nn.Parameter) -> int:
    return parameter.numel() * parameter.element_size()
