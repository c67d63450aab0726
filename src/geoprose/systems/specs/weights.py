"""Where pretrained weights come from."""

from __future__ import annotations

from pydantic import model_validator

from geoprose.core.spec import Spec


class WeightsSpec(Spec):
    """Where pretrained weights come from: exactly one of an asset, a hub repository, or a folder."""

    asset: str | None = None
    """Name of an asset that geoprose converts to a transformers folder."""
    hub_id: str | None = None
    """Repository on the model hub; needs ``revision``."""
    revision: str | None = None
    """Commit of the repository, 40 hexadecimal digits; a branch name is refused."""
    path: str | None = None
    """Folder in transformers format on this machine."""

    @model_validator(mode="after")
    def _one_source(self) -> WeightsSpec:
        if sum(source is not None for source in (self.asset, self.hub_id, self.path)) != 1:
            raise ValueError("give exactly one of asset, hub_id and path")
        is_commit = (
            self.revision is not None and len(self.revision) == 40 and set(self.revision) <= set("0123456789abcdef")
        )
        if self.hub_id is not None and not is_commit:
            raise ValueError("hub_id needs revision: a commit of 40 hexadecimal digits")
        return self
