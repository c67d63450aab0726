"""Flamingo's fusion: gated cross-attention blocks between the layers of a language model that stays as it is.

Shapes: B batch, T text length, M visual tokens of a row, E their width, D language-model width, h heads, d head width.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.connectors.perceiver import split_heads
from geoprose.models.parts.contracts import Fusion
from geoprose.models.parts.fusions.layers import decoder_layers, every_nth
from geoprose.models.parts.fusions.media import checked_visible, gather, see

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from geoprose.models.inputs import TextInputs, Visuals

_GATES = ("scalar", "vector")


@dataclass(frozen=True)
class BlockSizes:
    """Sizes and style of a block.

    Attributes:
        width: D.
        visual_width: E.
        num_heads: h.
        head_dim: d.
        hidden_size: Hidden width of the feed-forward.
        feed_forward: ``"swiglu"``, or the activation of a plain feed-forward.
        norm: ``"rmsnorm"`` or ``"layernorm"``.
        norm_eps: Its epsilon.
        qk_norm: RMSNorm on queries and keys, per head (Idefics-1).
        gate: ``"scalar"`` or ``"vector"``.
    """

    width: int
    visual_width: int
    num_heads: int
    head_dim: int
    hidden_size: int
    feed_forward: str = "swiglu"
    norm: str = "rmsnorm"
    norm_eps: float = 1e-6
    qk_norm: bool = False
    gate: str = "scalar"

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        if self.norm not in ("rmsnorm", "layernorm") or self.gate not in _GATES:
            raise ConfigError(
                f"fusion.norm {self.norm!r} or fusion.gate {self.gate!r} is unknown. "
                "Known: rmsnorm, layernorm; scalar, vector."
            )
        if self.feed_forward != "swiglu" and self.feed_forward not in ACT2FN:
            raise ConfigError(
                f"fusion.feed_forward {self.feed_forward!r} is unknown; use swiglu or an activation of transformers."
            )

    def make_norm(self) -> nn.Module:
        """Return a norm over D."""
        return (nn.RMSNorm if self.norm == "rmsnorm" else nn.LayerNorm)(self.width, eps=self.norm_eps)


class BlockFeedForward(nn.Module):
    """SwiGLU, or linear, activation, linear; no bias."""

    def __init__(self, sizes: BlockSizes) -> None:
        super().__init__()
        is_gated = sizes.feed_forward == "swiglu"
        self.gate_proj = nn.Linear(sizes.width, sizes.hidden_size, bias=False) if is_gated else None
        self.up_proj = nn.Linear(sizes.width, sizes.hidden_size, bias=False)
        self.down_proj = nn.Linear(sizes.hidden_size, sizes.width, bias=False)
        self.act_fn = ACT2FN["silu" if is_gated else sizes.feed_forward]

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., D)."""
        up = self.up_proj(hidden)
        up = self.act_fn(up) if self.gate_proj is None else self.act_fn(self.gate_proj(hidden)) * up
        return self.down_proj(up)  # type: ignore[no-any-return]


class GatedCrossAttentionBlock(GradientCheckpointingLayer):  # type: ignore[misc]  # transformers is untyped
    """``y = y + tanh(a) * Attention(y, x)``, then ``y = y + tanh(b) * FeedForward(y)``; a and b start at zero.

    Source:
        arXiv:2204.14198 section 3.1.2 and figure 4.
    """

    def __init__(self, sizes: BlockSizes) -> None:
        super().__init__()
        inner = sizes.num_heads * sizes.head_dim
        num_gates = sizes.width if sizes.gate == "vector" else 1
        self.head_dim = sizes.head_dim
        self.attention_norm = sizes.make_norm()
        self.q_proj = nn.Linear(sizes.width, inner, bias=False)
        self.k_proj = nn.Linear(sizes.visual_width, inner, bias=False)
        self.v_proj = nn.Linear(sizes.visual_width, inner, bias=False)
        self.o_proj = nn.Linear(inner, sizes.width, bias=False)
        self.q_norm = nn.RMSNorm(sizes.head_dim, eps=sizes.norm_eps) if sizes.qk_norm else nn.Identity()
        self.k_norm = nn.RMSNorm(sizes.head_dim, eps=sizes.norm_eps) if sizes.qk_norm else nn.Identity()
        self.feed_forward_norm = sizes.make_norm()
        self.feed_forward = BlockFeedForward(sizes)
        self.attention_gate = nn.Parameter(torch.zeros(num_gates))
        self.feed_forward_gate = nn.Parameter(torch.zeros(num_gates))

    def keys_values(self, media_BME: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, h, M, d) of visual tokens."""
        keys = self.k_norm(split_heads(self.k_proj(media_BME), self.head_dim))
        return keys, split_heads(self.v_proj(media_BME), self.head_dim)

    def forward(
        self,
        hidden_BTD: Tensor,
        keys_BhMd: Tensor | None = None,
        values_BhMd: Tensor | None = None,
        visible_BTM: Tensor | None = None,
    ) -> Tensor:
        """Return (B, T, D); a token that sees no picture gets zero from the attention."""
        if keys_BhMd is not None and values_BhMd is not None and visible_BTM is not None:
            read_BTD = self._attend(self.attention_norm(hidden_BTD), keys_BhMd, values_BhMd, visible_BTM)
            hidden_BTD = hidden_BTD + self.attention_gate.tanh() * read_BTD
        dense_BTD = self.feed_forward(self.feed_forward_norm(hidden_BTD))
        after_BTD: Tensor = hidden_BTD + self.feed_forward_gate.tanh() * dense_BTD
        return after_BTD

    def _attend(self, hidden_BTD: Tensor, keys: Tensor, values: Tensor, visible_BTM: Tensor) -> Tensor:
        queries = self.q_norm(split_heads(self.q_proj(hidden_BTD), self.head_dim))
        sees_BT1 = visible_BTM.any(-1, keepdim=True)
        # Why not the mask alone: a row of the softmax with nothing open has no value, and its gradient is not a number.
        open_B1TM = (visible_BTM | ~sees_BT1)[:, None]
        read = F.scaled_dot_product_attention(queries, keys, values, attn_mask=open_B1TM)
        return self.o_proj(read.transpose(1, 2).flatten(2)).masked_fill(~sees_BT1, 0.0)  # type: ignore[no-any-return]


class GatedCrossAttentionFusion(Fusion):
    """A block before every n-th decoder layer; with its gates at zero the language model computes what it did alone.

    The blocks hang on the layers as hooks, so names, adapters, hidden states and the cache of the language model stay.
    Keys and values of the pictures are computed once and ride on the cache, so decoding steps need no pixels.

    Args:
        text_config: The language model's config.
        every: A block before every n-th layer.
        offset: The first layer with a block; Idefics has 0, OpenFlamingo ``every - 1``.
        visible: ``"last"``, ``"group"`` or ``"all"`` pictures before a token, see ``media.Visible``.
        visual_width: Width of the visual tokens; D by default.
        num_heads: Heads; the language model's by default.
        head_dim: Width of a head; the language model's by default.
        hidden_size: Hidden width of the feed-forward; by default the language model's for SwiGLU, else 4 D.
        **style: ``feed_forward``, ``norm``, ``norm_eps``, ``qk_norm`` and ``gate`` of ``BlockSizes``.

    Source:
        arXiv:2204.14198; ``GatedCrossAttentionBlock`` of mlfoundations/open_flamingo; transformers' Idefics-1.
    """

    keeps_state: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913, PLR0917 - the options of the preset
        self,
        text_config: PreTrainedConfig,
        every: int = 4,
        offset: int = 0,
        visible: str = "last",
        visual_width: int | None = None,
        num_heads: int | None = None,
        head_dim: int | None = None,
        hidden_size: int | None = None,
        **style: Any,
    ) -> None:
        super().__init__(text_config)
        width, heads = int(text_config.hidden_size), num_heads or int(text_config.num_attention_heads)
        is_gated = style.get("feed_forward", "swiglu") == "swiglu"
        sizes = BlockSizes(
            width,
            visual_width or width,
            heads,
            head_dim or width // heads,
            hidden_size or (int(text_config.intermediate_size) if is_gated else 4 * width),
            **style,
        )
        self.visible = checked_visible(visible)
        self.num_layers = int(text_config.num_hidden_layers)
        self.visual_width = sizes.visual_width
        self.layer_indices = every_nth(self.num_layers, every, offset)
        self.blocks = nn.ModuleList(GatedCrossAttentionBlock(sizes) for _ in self.layer_indices)

    def attach(self, language_model: nn.Module) -> None:
        """Hang each block on its layer."""
        layers = decoder_layers(language_model, self.num_layers)
        for number, index in enumerate(self.layer_indices):
            layers[index].register_forward_pre_hook(partial(self._before_layer, number), with_kwargs=True)

    def _before_layer(
        self, number: int, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        call = _CALL.get()
        # A call of the language model that did not come through this fusion is the plain language model.
        if call is None or call.owner is not self:
            return None
        keys, values = (None, None) if call.keys_values is None else call.keys_values[number]
        if args:
            return (self.blocks[number](args[0], keys, values, call.visible_BTM), *args[1:]), kwargs
        hidden_BTD = self.blocks[number](kwargs["hidden_states"], keys, values, call.visible_BTM)
        return args, {**kwargs, "hidden_states": hidden_BTD}

    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutputWithPast:
        """Run the language model on the text; pictures enter through the blocks.

        Raises:
            ProcessingError: If pictures and placeholders differ in number, or the visual tokens have another width.
        """
        media = None
        if visuals is not None and len(visuals.tokens):
            self._check_width(visuals)
            media = gather(text, visuals)
        visible_BTM = see(text, media, self.visible)
        keys_values = self._keys_values(text, None if media is None else media.tokens_BME)
        token = _CALL.set(_Call(self, keys_values, visible_BTM))
        try:
            return language_model(inputs_embeds=text.embeds_BTD, **lm_inputs)
        finally:
            _CALL.reset(token)

    def _check_width(self, visuals: Visuals) -> None:
        width = visuals.tokens[0].shape[-1]
        if width != self.visual_width:
            raise ProcessingError(
                f"The connector gives visual tokens of width {width}, the fusion's blocks read {self.visual_width}; "
                f"set fusion.visual_width to {width}, or let the connector project."
            )

    def _keys_values(self, text: TextInputs, media_BME: Tensor | None) -> list[tuple[Tensor, Tensor]] | None:
        """Return keys and values of every block, over the pictures of earlier passes and of this one."""
        state = text.state
        if media_BME is not None:
            for number, block in enumerate(self.blocks):
                assert isinstance(block, GatedCrossAttentionBlock)
                pair = zip(_KEYS_VALUES, block.keys_values(media_BME), strict=True)
                for name, new in ((name.format(number), new) for name, new in pair):
                    state[name] = torch.cat([state[name], new], dim=2) if name in state else new
        if _KEYS_VALUES[0].format(0) not in state:
            return None
        key, value = _KEYS_VALUES
        return [(state[key.format(number)], state[value.format(number)]) for number in range(len(self.blocks))]


_KEYS_VALUES = ("media_keys_{}", "media_values_{}")


@dataclass(frozen=True)
class _Call:
    """What the hooks of one call need: whose call it is, keys and values per block, and who sees what."""

    owner: GatedCrossAttentionFusion
    keys_values: list[tuple[Tensor, Tensor]] | None
    visible_BTM: Tensor | None


# Why not an attribute of the fusion: two calls may run at once, in threads or nested.
_CALL: ContextVar[_Call | None] = ContextVar("gated_cross_attention", default=None)
