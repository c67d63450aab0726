"""Spread a system over the devices of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.systems.build import System


def place_system(system: System[Any], device_map: str | Mapping[str, str | int]) -> System[Any]:
    """Put the parts of a loaded system on devices, with accelerate's hooks that move tensors between them.

    Args:
        system: A loaded system; changed in place.
        device_map: ``"auto"`` fills the devices in order, decoder layers whole; or names of modules to devices, such as
            ``{"model.vision_encoder": 0, "model.connector": 0, "model.language_model": 1, "lm_head": 1}``; ``{"": 0}``
            puts all on one.

    Returns:
        The system.

    Raises:
        ConfigError: If the map leaves out a module, or names a device that is not there.
    """
    from accelerate import dispatch_model, infer_auto_device_map
    from accelerate.utils import check_device_map

    if isinstance(device_map, str):
        if device_map != "auto":
            raise ConfigError(
                f"device_map {device_map!r} is not known; give 'auto' or a mapping of modules to devices."
            )
        whole = list(getattr(system.model, "_no_split_modules", None) or ())
        places: dict[str, Any] = dict(infer_auto_device_map(system.model, no_split_module_classes=whole))
    else:
        places = dict(device_map)
    try:
        check_device_map(system.model, places)
        system.model = dispatch_model(system.model, places)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise ConfigError(f"The system cannot be placed by this device map: {error}") from error
    return system
