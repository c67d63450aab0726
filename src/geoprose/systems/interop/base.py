"""What the published layout of a system must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.key_map import KeyMap

ACTIVATION = "projector_hidden_act"
"""What several published configs call the activation of the connector."""
Sizes = tuple[tuple[int, ...], ...]
"""Width and height of the pictures of one row of a batch; a third number makes a video of as many frames."""


class Reference(ABC):
    """The transformers class of a published system, and the way between its world and ours.

    Attributes:
        architecture: Name of the class in transformers.
        cases: Pictures that the proof shows, by name: rows of a batch, each the sizes of its pictures.
    """

    architecture: ClassVar[str]
    cases: ClassVar[Mapping[str, tuple[Sizes, ...]]] = {
        "one picture": (((48, 48),),),
        "two pictures": (((48, 48), (64, 40)),),
        "a batch of two rows": (((48, 48),), ((40, 64), (48, 48))),
    }

    @abstractmethod
    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""

    @abstractmethod
    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""

    @abstractmethod
    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset, as nested spec values."""

    def adopted(self, theirs: PreTrainedConfig) -> PreTrainedConfig:
        """Return the released config as our model is made from it: with every row of the vocabulary counted."""
        return theirs

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs of one forward pass under the names of the transformers class."""
        return {name: value for name, value in inputs.items() if name != "visual_layouts"}

    def model_class(self) -> type[PreTrainedModel]:
        """Return the transformers class."""
        found: type[PreTrainedModel] = getattr(import_module("transformers"), self.architecture)
        return found

    def build(self, model: Any) -> PreTrainedModel:
        """Return the transformers model with the weights of ours, in its dtype.

        Raises:
            ModelError: If a weight has no published name.
            RuntimeError: If a published weight is missing or has another shape.
        """
        config = self.config(model.config)
        config._attn_implementation = model.config._attn_implementation
        theirs: Any = self.model_class()(config).to(model.dtype).eval()
        self.before_load(theirs)
        state = self.key_map(model.config).to_theirs(untied(model))
        missing, unexpected = theirs.load_state_dict(state, strict=False)
        tied = set(theirs.all_tied_weights_keys)
        really_missing = [name for name in missing if name not in tied and not self.is_absent(name)]
        if really_missing or unexpected:
            raise RuntimeError(f"missing {really_missing[:5]}, unexpected {unexpected[:5]}")
        theirs.tie_weights()
        return theirs

    def before_load(self, theirs: Any) -> None:
        """Change the transformers model where it does not hold apart what the published weights hold apart."""
        return

    def comparable(self, logits: Tensor, ours: GeoproseConfig) -> Tensor:
        """Return our logits with what the transformers class does to them behind its head."""
        return logits

    def is_absent(self, name: str) -> bool:
        """Tell whether a weight of theirs plays no part in the outputs that are compared."""
        return False


def untied(model: Any) -> dict[str, Tensor]:
    """Return the state dict without what is tied: a head to the embedding, the tables of T5 to each other."""
    return {name: tensor for name, tensor in model.state_dict().items() if name not in model.all_tied_weights_keys}


def part_config(config: Any) -> dict[str, Any]:
    """Return the config of a part as a dictionary."""
    values: dict[str, Any] = config if isinstance(config, dict) else config.to_dict()
    return values
