"""One table per model slot; a name stands for a lazily imported class.

Third parties add names through the entry-point groups ``geoprose.vision_encoders``, ``geoprose.connectors``,
``geoprose.packers``, ``geoprose.fusions``, ``geoprose.positions``, ``geoprose.text_towers`` and
``geoprose.vision_towers``. Importing this module imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.models.dense.contracts import DenseHead
    from geoprose.models.dual.towers import TextTower, VisionTower
    from geoprose.models.parts.contracts import Connector, Fusion, ImageHead, Packer, Positions, VisionEncoder

_PARTS = "geoprose.models.parts"

VISION_ENCODERS: Registry[type[VisionEncoder]] = Registry(
    slot="vision_encoder",
    table={
        "bigg": f"{_PARTS}.encoders.bigg:BiggEncoder",
        "clip": f"{_PARTS}.encoders.hf:ClipEncoder",
        "clip_with_class": f"{_PARTS}.encoders.clip_with_class:ClipWithClassEncoder",
        "dinov2": f"{_PARTS}.encoders.hf:Dinov2Encoder",
        "eva2_clip": f"{_PARTS}.encoders.eva2_clip:Eva2ClipEncoder",
        "eva_clip": f"{_PARTS}.encoders.eva_clip:EvaClipEncoder",
        "imagebind": f"{_PARTS}.encoders.imagebind:ImageBindEncoder",
        "internvit": f"{_PARTS}.encoders.internvit:InternvitEncoder",
        "multi_scale": f"{_PARTS}.encoders.multi_scale:MultiScaleEncoder",
        "nfnet": f"{_PARTS}.encoders.nfnet:NfnetEncoder",
        "mllama": f"{_PARTS}.encoders.mllama:MllamaEncoder",
        "patch_linear": f"{_PARTS}.encoders.patch_linear:PatchLinearEncoder",
        "qwen2_vit": f"{_PARTS}.encoders.qwen2_vit:Qwen2VitEncoder",
        "sam_siglip": f"{_PARTS}.encoders.sam_siglip:SamSiglipEncoder",
        "siglip": f"{_PARTS}.encoders.hf:SiglipEncoder",
        "siglip2": f"{_PARTS}.encoders.siglip2:Siglip2Encoder",
        "vit": f"{_PARTS}.encoders.vit:VitEncoder",
        "vit_convnext": f"{_PARTS}.encoders.vit_convnext:VitConvnextEncoder",
        "vq": f"{_PARTS}.encoders.vq:VqEncoder",
    },
)
CONNECTORS: Registry[type[Connector]] = Registry(
    slot="connector",
    table={
        "compass_mlp": f"{_PARTS}.connectors.compass:CompassMlpConnector",
        "conv_glu": f"{_PARTS}.connectors.conv_glu:ConvGluConnector",
        "hybrid_concat": f"{_PARTS}.connectors.hybrid_concat:HybridConcatConnector",
        "identity": f"{_PARTS}.connectors.identity:IdentityConnector",
        "linear": f"{_PARTS}.connectors.mlp:LinearConnector",
        "mlp": f"{_PARTS}.connectors.mlp:MlpConnector",
        "patch_merger": f"{_PARTS}.connectors.patch_merger:PatchMergerConnector",
        "perceiver": f"{_PARTS}.connectors.perceiver:PerceiverConnector",
        "qformer": f"{_PARTS}.connectors.qformer:QFormerConnector",
        "separated_mlp": f"{_PARTS}.connectors.separated:SeparatedMlpConnector",
        "unshuffle_mlp": f"{_PARTS}.connectors.unshuffle:UnshuffleMlpConnector",
        "vq_embed": f"{_PARTS}.connectors.vq_embed:VqEmbedConnector",
        "xattn_resampler_2d": f"{_PARTS}.connectors.xattn_resampler_2d:XattnResampler2dConnector",
    },
)
PACKERS: Registry[type[Packer]] = Registry(
    slot="packer",
    table={
        "deepseek_vl2": f"{_PARTS}.packers.deepseek_vl2:DeepseekVl2Packer",
        "eol_rows": f"{_PARTS}.packers.rows:EolRowsPacker",
        "flat": f"{_PARTS}.packers.flat:FlatPacker",
        "gated_views": f"{_PARTS}.packers.gated_views:GatedViewsPacker",
        "internvl": f"{_PARTS}.packers.internvl:InternvlPacker",
        "llava_next": f"{_PARTS}.packers.llava_next:LlavaNextPacker",
        "media": f"{_PARTS}.packers.media:MediaPacker",
        "onevision": f"{_PARTS}.packers.onevision:OnevisionPacker",
        "phi3_hd": f"{_PARTS}.packers.phi3_hd:Phi3HdPacker",
        "rows_newline": f"{_PARTS}.packers.rows:RowsNewlinePacker",
        "video": f"{_PARTS}.packers.video:VideoPacker",
    },
)
FUSIONS: Registry[type[Fusion]] = Registry(
    slot="fusion",
    table={
        "encoder_decoder_prefix": f"{_PARTS}.fusions.encoder_decoder:EncoderDecoderPrefixFusion",
        "cross_attention_layers": f"{_PARTS}.fusions.cross_attention_layers:CrossAttentionLayersFusion",
        "gated_cross_attention": f"{_PARTS}.fusions.gated_cross_attention:GatedCrossAttentionFusion",
        "modality_moe": f"{_PARTS}.fusions.modality_moe:ModalityMoeFusion",
        "scatter": f"{_PARTS}.fusions.scatter:ScatterFusion",
        "token_ids": f"{_PARTS}.fusions.token_ids:TokenIdsFusion",
        "visual_expert": f"{_PARTS}.fusions.visual_expert:VisualExpertFusion",
    },
)
POSITIONS: Registry[type[Positions]] = Registry(
    slot="position",
    table={
        "mrope": f"{_PARTS}.positions.mrope:Mrope",
        "relative": f"{_PARTS}.positions.relative:Relative",
        "rope1d": f"{_PARTS}.positions.rope1d:Rope1d",
        "v2pe": f"{_PARTS}.positions.v2pe:V2pe",
        "shared": f"{_PARTS}.positions.shared:SharedPositions",
    },
)
_TOWERS = "geoprose.models.dual.towers"
TEXT_TOWERS: Registry[type[TextTower]] = Registry(
    slot="text_tower",
    table={
        "bert": f"{_TOWERS}:BertTower",
        "clip_text": f"{_TOWERS}:ClipTextTower",
        "siglip_text": f"{_TOWERS}:SiglipTextTower",
    },
)
VISION_TOWERS: Registry[type[VisionTower]] = Registry(
    slot="vision_tower",
    table={
        "clip": f"{_TOWERS}:ClipVisionTower",
        "dinov2": f"{_TOWERS}:Dinov2Tower",
        "siglip": f"{_TOWERS}:SiglipVisionTower",
        "vit": f"{_TOWERS}:VitTower",
    },
)
IMAGE_HEADS: Registry[type[ImageHead]] = Registry(
    slot="image_head",
    table={
        "code_mlp": f"{_PARTS}.heads.code_mlp:CodeMlpHead",
        "token_codes": f"{_PARTS}.heads.token_codes:TokenCodesHead",
    },
)
DENSE_HEADS: Registry[type[DenseHead]] = Registry(
    slot="dense_head",
    table={
        "changeclip": "geoprose.models.dense.changeclip:ChangeclipHead",
        "segclip": "geoprose.models.dense.segclip:SegclipHead",
    },
)
