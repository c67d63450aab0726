"""LLaVA-NeXT and LLaVA-OneVision: ``LlavaNextForConditionalGeneration``, ``LlavaOnevisionForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from transformers import LlavaNextConfig, LlavaOnevisionConfig

from geoprose.layout.arrangements import arrangement_of, num_tokens
from geoprose.layout.resolutions import resolution_of
from geoprose.layout.visual import VisualLayout
from geoprose.systems.interop.base import part_config
from geoprose.systems.interop.key_map import KeyMap, Rename
from geoprose.systems.interop.llava import LlavaReference
from geoprose.systems.spec import SystemSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.base import Sizes


class LlavaNextReference(LlavaReference):
    """LLaVA-1.5 with tiles and a learned newline."""

    architecture = "LlavaNextForConditionalGeneration"
    cases: ClassVar[Mapping[str, tuple[Sizes, ...]]] = {
        "one picture": (((48, 48),),),
        "a wide picture, rows of padding": (((301, 44),),),
        "a tall picture, columns of padding": (((37, 211),),),
        "two pictures of several tiles": (((301, 150), (100, 97)),),
        "a batch of three rows": (((48, 90),), (), ((211, 301), (40, 33))),
    }

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        newline = Rename("model.packer.image_newline", "model.image_newline")
        return KeyMap([newline, *super().key_map(ours).rules])

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return LlavaNextConfig(**self._values(ours), vision_feature_select_strategy="default")

    def _values(self, ours: GeoproseConfig) -> dict[str, Any]:
        assert ours.vision_encoder is not None
        assert ours.connector is not None
        return {
            "vision_config": part_config(ours.vision_config),
            "text_config": part_config(ours.text_config),
            "image_token_index": ours.image_token_id,
            "vision_feature_layer": ours.vision_encoder["feature_layer"],
            "projector_hidden_act": ours.connector["activation"],
            "image_grid_pinpoints": pinpoints(ours),
            "tie_word_embeddings": ours.tie_word_embeddings,
        }

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        values = super().spec_values(theirs)
        side = values["resolution"]["image_size"]
        values["resolution"]["grids"] = [
            [height // side, width // side] for height, width in theirs.image_grid_pinpoints
        ]
        return values

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs of one forward pass under the names of the transformers class."""
        values = super().inputs(inputs)
        if "visual_layouts" in inputs:
            values["image_sizes"] = inputs["visual_layouts"][:, 4:6]
        return values


class LlavaOnevisionReference(LlavaNextReference):
    """SigLIP, a two-layer MLP, a Qwen2; pictures, several pictures, videos."""

    architecture = "LlavaOnevisionForConditionalGeneration"
    cases: ClassVar[Mapping[str, tuple[Sizes, ...]]] = {
        "one picture": (((48, 48),),),
        "a large picture, scaled down": (((640, 520),),),
        "several pictures": (((301, 150), (100, 97), (48, 48)),),
        "a video": (((64, 48, 3),),),
        "a video of one frame": (((64, 48, 1),),),
        "pictures and a video": (((211, 301), (70, 50, 2)), ((40, 40), (33, 80)), (), ((150, 90),)),
    }

    def __init__(self) -> None:
        self._image_token_id = -1
        self._tokens_per_tile = 0
        self._packer: dict[str, Any] = {}

    def build(self, model: Any) -> PreTrainedModel:
        """Return the transformers model with the weights of ours; see ``Reference.build``."""
        self._image_token_id = model.config.image_token_id
        self._tokens_per_tile = model.model.num_visual_tokens
        self._packer = dict(model.config.merging()[0])
        return super().build(model)

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return LlavaOnevisionConfig(
            **self._values(ours),
            vision_feature_select_strategy="full",
            vision_aspect_ratio=f"anyres_max_{ours.merging()[0]['max_tiles']}",
            video_token_index=video_token_id(ours.image_token_id),
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        limit = int(theirs.vision_aspect_ratio.removeprefix("anyres_max_"))
        return {**super().spec_values(theirs), "packer": {"max_tiles": limit}}

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs of one forward pass under the names of the transformers class.

        Videos get the video's token in the text. Pictures that stand together form one sample of several; theirs asks
        for the number in each sample, and treats all numbers above one alike.
        """
        values = super().inputs(inputs)
        if "visual_layouts" not in inputs:
            return values
        pixels, sizes = values.pop("pixel_values"), values.pop("image_sizes")
        layouts = [VisualLayout(*row) for row in inputs["visual_layouts"].tolist()]
        is_video = torch.tensor([layout.has_whole_frames_only for layout in layouts])
        tile_is_video = is_video.repeat_interleave(torch.tensor([layout.num_tiles for layout in layouts]))
        values["input_ids"] = self._with_video_tokens(values["input_ids"], layouts, is_video)
        if bool(is_video.any()):
            frames = [layout.frames for layout in layouts if layout.has_whole_frames_only]
            assert len(set(frames)) == 1, "the transformers class takes videos of one length"
            values["pixel_values_videos"] = pixels[tile_is_video].unflatten(0, (len(frames), frames[0]))
        if not bool(is_video.all()):
            pictures = [layout for layout in layouts if not layout.has_whole_frames_only]
            values |= {"pixel_values": pixels[~tile_is_video], "image_sizes": sizes[~is_video]}
            values["batch_num_images"] = torch.tensor(_samples(pictures))
        return values

    def _with_video_tokens(self, ids: Tensor, layouts: list[VisualLayout], is_video: Tensor) -> Tensor:
        arrangement = arrangement_of(self._packer)
        counts = torch.tensor([num_tokens(arrangement, layout, self._tokens_per_tile) for layout in layouts])
        ids = ids.clone()
        tokens = torch.where(is_video, video_token_id(self._image_token_id), self._image_token_id)
        ids[ids == self._image_token_id] = tokens.repeat_interleave(counts)
        return ids


def _samples(pictures: list[VisualLayout]) -> list[int]:
    """Return numbers of pictures per sample: one for each with tiles, one number for a run of those without."""
    samples: list[int] = []
    in_run = False
    for layout in pictures:
        is_alone = layout.thumbnail == 1
        if in_run and not is_alone:
            samples[-1] += 1
        else:
            samples.append(1)
        in_run = not is_alone
    return samples


def pinpoints(ours: GeoproseConfig) -> list[list[int]]:
    """Return the canvases (height, width) that pictures are fitted into, pixels."""
    spec = SystemSpec.model_validate(ours.system)
    planner: Any = resolution_of(spec.resolution.as_config())
    return [[rows * planner.image_size, columns * planner.image_size] for rows, columns in planner.grids]


def video_token_id(image_token_id: int) -> int:
    """Return the id that stands for a video in the transformers class, as released (151646, 151647)."""
    return image_token_id + 1
