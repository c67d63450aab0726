"""What the released checkpoint of a system must offer that transformers has no class for: names and sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from geoprose.core.errors import ConfigError
from geoprose.core.registry import Registry
from geoprose.systems.interop import REFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.key_map import KeyMap


class ReleasedLayout(ABC):
    """The names that a release gives to its weights, and what its ``config.json`` says.

    Attributes:
        architecture: What ``architectures`` in ``config.json`` holds.
        preset: The preset that it is a checkpoint of, unless another is named.
    """

    architecture: ClassVar[str]
    preset: ClassVar[str]

    @abstractmethod
    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""

    @abstractmethod
    def spec_values(self, released: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a released ``config.json`` changes in the preset, as nested spec values.

        Raises:
            ConfigError: If it asks for something that the preset's parts do not compute.
        """

    def num_rows(self, released: Mapping[str, Any]) -> int:
        """Return the rows of the released vocabulary."""
        return int(released["vocab_size"])

    def tokenizer(self, folder: Path) -> Any | None:
        """Return the tokenizer of a release in a format of its own, or None where transformers reads it."""
        return None

    def completed(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the released weights with what the file holds under a second name only."""
        return state


LAYOUTS: Registry[type[ReleasedLayout]] = Registry(
    slot="released_layout",
    table={
        "cogvlm2": "geoprose.systems.interop.cogvlm2:Cogvlm2Layout",
        "deepseek_vl2": "geoprose.systems.interop.deepseek_vl2:DeepseekVl2Layout",
        "phi3_vision": "geoprose.systems.interop.phi3_vision:Phi3VisionLayout",
        "qwen_vl": "geoprose.systems.interop.qwen_vl:QwenVlLayout",
    },
)


_OF_LLAVA_CODE = {"llava-v1": "LlavaLlamaForCausalLM"}
"""Presets whose only release has the layout of the LLaVA repository (transfer_llava.py)."""


def importable_class(name: str, reference: str | None) -> str | None:
    """Return the class that ``config.json`` of a released checkpoint names, or None where no release can be imported.

    Args:
        name: Name of the preset.
        reference: Its reference, the name of a layout that transformers reads.
    """
    if reference is not None:
        return REFERENCES.get(reference).architecture
    layouts = (LAYOUTS.get(layout) for layout in LAYOUTS.names())
    return next((layout.architecture for layout in layouts if layout.preset == name), _OF_LLAVA_CODE.get(name))


def taken(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of ``values`` that have one of these names."""
    return {name: values[name] for name in names if name in values}


def expect(values: Mapping[str, Any], where: str, **wanted: Any) -> None:
    """Compare settings that the preset's parts have built in with those of a released config.

    Raises:
        ConfigError: If one says something else; one that is not there says nothing.
    """
    for name, value in wanted.items():
        if values.get(name, value) != value:
            raise ConfigError(
                f"{where}: {name} is {values[name]!r}, but the preset's parts compute {value!r} only. "
                "This release is another variant, which no preset covers."
            )
