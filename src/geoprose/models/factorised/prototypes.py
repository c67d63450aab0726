"""Geo-context prototypes: what is typical of a region, learned without labels and given back to its features.

Shapes: R regions, P prototypes per region, D width, M features (cells of all pictures of one region), N pictures.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoprose.core.errors import ProcessingError

UNKNOWN_REGION = -1


def sinkhorn(similarity_MP: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Return assignments (M, P): rows sum to 1, and every prototype gets nearly the same share of the features.

    ``S = diag(u) exp(similarity / epsilon) diag(v)``, by turns of normalising columns and rows.

    Args:
        similarity_MP: Cosine of features and prototypes.
        epsilon: Smaller is sharper.
        iterations: Turns; 3 as published for clustering assignments.

    Source:
        Sinkhorn-Knopp as in SwAV, arXiv:2006.09882, appendix A.
    """
    num_features, num_prototypes = similarity_MP.shape
    wide = similarity_MP.to(torch.promote_types(similarity_MP.dtype, torch.float32))
    # The largest entry is taken out before exp, which scaling by u and v makes up for.
    assigned = torch.exp((wide - wide.max()) / epsilon)
    for _ in range(iterations):
        assigned = assigned / assigned.sum(0, keepdim=True).clamp(min=1e-12) / num_prototypes
        assigned = assigned / assigned.sum(1, keepdim=True).clamp(min=1e-12) / num_features
    return assigned * num_features


class GeoPrototypes(nn.Module):
    """A table of prototypes per region; moved by exponential averages, never by gradients.

    ``g = [f; softmax(f P_r^T / sqrt(D)) P_r]`` for a feature f of region r; ``P_r <- m P_r + (1 - m) S^T f / sum S``.

    Args:
        num_regions: R.
        num_prototypes: P.
        width: D.
        momentum: m.
        epsilon: Sharpness of the assignment.
        iterations: Turns of the assignment.

    Source:
        SkySense, arXiv:2312.10115, section 3.3.
    """

    prototypes_RPD: Tensor

    def __init__(
        self,
        num_regions: int,
        num_prototypes: int,
        width: int,
        momentum: float = 0.99,
        epsilon: float = 0.05,
        iterations: int = 3,
    ) -> None:
        super().__init__()
        self.momentum, self.epsilon, self.iterations = momentum, epsilon, iterations
        table = torch.randn(num_regions, num_prototypes, width)
        self.register_buffer("prototypes_RPD", F.normalize(table, dim=-1))

    def _of(self, regions_N: Tensor) -> Tensor:
        num_regions = len(self.prototypes_RPD)
        if bool(((regions_N < UNKNOWN_REGION) | (regions_N >= num_regions)).any()):
            raise ProcessingError(
                f"Regions are numbers 0 to {num_regions - 1}, or -1 for unknown, got {regions_N.tolist()}."
            )
        return self.prototypes_RPD[regions_N.clamp(min=0)]

    def forward(self, features_NMD: Tensor, regions_N: Tensor) -> Tensor:
        """Return features with what their region adds (N, M, 2 D); zeros are added where the region is unknown."""
        prototypes_NPD = self._of(regions_N)
        scores_NMP = features_NMD @ prototypes_NPD.transpose(1, 2) / features_NMD.shape[-1] ** 0.5
        context_NMD = scores_NMP.softmax(-1) @ prototypes_NPD
        is_known = (regions_N != UNKNOWN_REGION)[:, None, None]
        return torch.cat([features_NMD, context_NMD * is_known], dim=-1)

    @torch.no_grad()
    def update(self, features_NMD: Tensor, regions_N: Tensor) -> None:
        """Move the prototypes of every region that is seen towards the features assigned to them."""
        self._of(regions_N)
        for region in sorted(set(regions_N.tolist()) - {UNKNOWN_REGION}):
            features_MD = features_NMD[regions_N == region].flatten(0, 1)
            old_PD = self.prototypes_RPD[region]
            similarity_MP = F.normalize(features_MD, dim=-1) @ F.normalize(old_PD, dim=-1).T
            assigned_MP = sinkhorn(similarity_MP, self.epsilon, self.iterations).to(features_MD.dtype)
            shares_P1 = assigned_MP.sum(0).clamp(min=1e-6).unsqueeze(-1)
            mean_PD = assigned_MP.T @ features_MD / shares_P1
            self.prototypes_RPD[region] = self.momentum * old_PD + (1 - self.momentum) * mean_PD.to(old_PD.dtype)
