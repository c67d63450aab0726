"""One table per model slot; a name stands for a lazily imported class.

Third parties add names through the entry-point groups ``geoprose.vision_encoders``, ``geoprose.connectors``,
``geoprose.packers``, ``geoprose.fusions`` and ``geoprose.positions``. Importing this module imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.models.parts.contracts import Connector, Fusion, Packer, Positions, VisionEncoder

_PARTS = "geoprose.models.parts"

VISION_ENCODERS: Registry[type[VisionEncoder]] = Registry(
    slot="vision_encoder",
    table={
        "clip": f"{_PARTS}.encoders.hf:ClipEncoder",
        "dinov2": f"{_PARTS}.encoders.hf:Dinov2Encoder",
        "siglip": f"{_PARTS}.encoders.hf:SiglipEncoder",
    },
)
CONNECTORS: Registry[type[Connector]] = Registry(
    slot="connector",
    table={
        "compass_mlp": f"{_PARTS}.connectors.compass:CompassMlpConnector",
        "linear": f"{_PARTS}.connectors.mlp:LinearConnector",
        "mlp": f"{_PARTS}.connectors.mlp:MlpConnector",
        "unshuffle_mlp": f"{_PARTS}.connectors.unshuffle:UnshuffleMlpConnector",
    },
)
PACKERS: Registry[type[Packer]] = Registry(slot="packer", table={"flat": f"{_PARTS}.packers.flat:FlatPacker"})
FUSIONS: Registry[type[Fusion]] = Registry(slot="fusion", table={"scatter": f"{_PARTS}.fusions.scatter:ScatterFusion"})
POSITIONS: Registry[type[Positions]] = Registry(slot="position", table={"rope1d": f"{_PARTS}.positions.rope1d:Rope1d"})
