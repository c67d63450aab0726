"""Losses as pure functions, and the table that recipes name them from.

Imported by training only. Start at base.py (the contract), then lm.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.training.losses.base import StageLoss

LOSSES: Registry[type[StageLoss]] = Registry(
    slot="loss",
    table={
        "lm": "geoprose.training.losses.lm:LmLoss",
        "clip": "geoprose.training.losses.contrastive:ClipLoss",
        "imagebind_infonce": "geoprose.training.losses.imagebind:ImagebindInfonceLoss",
        "itc": "geoprose.training.losses.qformer:ItcLoss",
        "itg": "geoprose.training.losses.qformer:ItgLoss",
        "itm": "geoprose.training.losses.qformer:ItmLoss",
        "masked_patches": "geoprose.training.losses.masked_patches:MaskedPatchesLoss",
        "moe_balance": "geoprose.training.losses.moe:MoeBalanceLoss",
        "segmentation": "geoprose.training.losses.segmentation:SegmentationLoss",
        "siglip": "geoprose.training.losses.contrastive:SiglipLoss",
        "signal_mse": "geoprose.training.losses.signals:SignalMseLoss",
        "vq_commitment": "geoprose.training.losses.vq:VqCommitmentLoss",
        "kd_offline": "geoprose.training.losses.kd_offline:KdOfflineLoss",
        "gkd": "geoprose.training.losses.gkd:GkdLoss",
        "reverse_kl_on_policy": "geoprose.training.losses.gkd:ReverseKlOnPolicyLoss",
        "minillm": "geoprose.training.losses.minillm:MiniLlmLoss",
        "feature_alignment": "geoprose.training.losses.feature_alignment:FeatureAlignmentLoss",
        "lexical_alignment": "geoprose.training.losses.lexical_alignment:LexicalAlignmentLoss",
        "dpo": "geoprose.training.losses.dpo:DpoLoss",
        "mpo": "geoprose.training.losses.mpo:MpoLoss",
        "kto": "geoprose.training.losses.kto:KtoLoss",
        "reward_pairs": "geoprose.training.losses.reward_pairs:RewardPairsLoss",
    },
)
