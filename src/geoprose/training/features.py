"""A frozen encoder says the same about a picture every time, so it is asked once.

Outputs lie in memory-mapped safetensors shards. The folder's name is a hash of everything the output depends on
(encoder weights, feature choice, preprocessing, precision), so a stale cache cannot be read by mistake.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from geoprose.core.errors import DataError
from geoprose.core.files import write_json
from geoprose.training.images import read_picture
from geoprose.training.precision import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.training.specs.data import FeatureSpec

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
_TENSOR = "features"


class Features(Protocol):
    """Features by SHA-256 of the image file."""

    def get(self, digest: str) -> Tensor:
        """Return the features of one image, (P, E)."""
        ...


class BlankFeatures:
    """Zeros for every image: what a blind system is trained and evaluated on.

    Args:
        encoder: Gives the shape.
    """

    def __init__(self, encoder: Any) -> None:
        self._zeros_PE = torch.zeros(encoder.num_patches(), encoder.hidden_size)

    def get(self, digest: str) -> Tensor:
        """Return zeros (P, E)."""
        return self._zeros_PE


class FeatureStore:
    """Features by SHA-256 of the image file.

    Args:
        folder: Folder of one cache key; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, tuple[str, int]] = {}
        self._slices: dict[str, Any] = {}
        for index in sorted(folder.glob("shard-*.json")):
            self._read_index(index)

    def __contains__(self, digest: str) -> bool:
        """Tell whether the image has been encoded."""
        return digest in self._rows

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def get(self, digest: str) -> Tensor:
        """Return the features of one image, (P, E); only its bytes are read from the shard."""
        shard, row = self._rows[digest]
        if shard not in self._slices:
            from safetensors import safe_open

            # Why not `with`: the handle is the memory map; it lives as long as the store.
            handle: Any = safe_open(self.folder / shard, "pt")
            self._slices[shard] = handle.get_slice(_TENSOR)
        tensor: Tensor = self._slices[shard][row]
        return tensor

    def add(self, digests: Sequence[str], features_NPE: Tensor) -> None:
        """Write one shard; it counts only once its index is there, so a killed writer leaves nothing wrong.

        Raises:
            DataError: If an image became several tiles.
        """
        from safetensors.torch import save_file

        if features_NPE.shape[0] != len(digests):
            raise DataError(
                f"{len(digests)} images gave {features_NPE.shape[0]} tiles; cached features need one tile an image."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"shard-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:16]}.safetensors"
        save_file({_TENSOR: features_NPE.contiguous()}, self.folder / name)
        index = (self.folder / name).with_suffix(".json")
        write_json(index, {"file": name, "digests": list(digests), "shape": list(features_NPE.shape[1:])})
        self._read_index(index)

    def _read_index(self, index: Path) -> None:
        try:
            content = json.loads(index.read_text())
        except json.JSONDecodeError as error:
            raise DataError(f"{index} is damaged. Delete the folder {self.folder}; it is built again.") from error
        self._rows.update({digest: (content["file"], row) for row, digest in enumerate(content["digests"])})


def feature_key(system: Any, spec: FeatureSpec) -> str:
    """Return the hash of all that a feature depends on except the image."""
    digest = hashlib.sha256()
    encoder = system.model.model.vision_encoder
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    context = {
        "image_processor": system.processor.image_processor.to_dict(),
        "encoder": {
            name: repr(value) for name, value in vars(encoder).items() if isinstance(value, int | str | tuple | None)
        },
        "config": system.model.config.vision_config.to_dict(),
        "dtype": spec.dtype,
        "precision": spec.encoder_precision,
    }
    context["encoder"].pop("training", None)
    digest.update(json.dumps(context, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:32]


def build_features(
    system: Any, images: Mapping[str, Path], spec: FeatureSpec, root: Path, progress: Progress
) -> FeatureStore:
    """Encode the images that the cache lacks.

    Args:
        system: Its frozen encoder and image processor are used.
        images: SHA-256 to path.
        spec: Precision, batch size, shard size.
        root: Folder of all caches.
        progress: Called with (done, total) after every batch; what it raises stops the work between two batches.
    """
    store = FeatureStore(root / feature_key(system, spec))
    missing = [digest for digest in images if digest not in store]
    total = len(missing)
    for start in range(0, total, spec.shard_images):
        digests = missing[start : start + spec.shard_images]
        parts = []
        with _encoder_precision(system.model.model.vision_encoder, spec.encoder_precision):
            for low in range(0, len(digests), spec.batch_size):
                batch = digests[low : low + spec.batch_size]
                parts.append(_encode(system, [read_picture(images[d]) for d in batch]).to(DTYPES[spec.dtype]))
                progress(start + low + len(batch), total)
        store.add(digests, torch.cat(parts))
    logger.info("features: %d images encoded, %d from the cache", total, len(images) - total)
    return store


def preprocess(system: Any, pictures: Sequence[Any]) -> Tensor:
    """Return the encoder's input (n, C, H, W) of pictures that make one tile each."""
    pixels: Tensor = system.processor.image_processor(list(pictures), return_tensors="pt")["pixel_values"]
    return pixels


def input_statistics(store: Features, digests: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each encoder channel (E,) over all patches of the images, float32."""
    total = torch.zeros((), dtype=torch.float64)
    squares = torch.zeros((), dtype=torch.float64)
    count = 0
    for digest in digests:
        features_PE = store.get(digest).double()
        total = total + features_PE.sum(0)
        squares = squares + features_PE.square().sum(0)
        count += features_PE.shape[0]
    if count == 0:
        raise DataError("There is no image to compute input statistics from.")
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(1e-4)
    return mean.float(), std.float()


def _encode(system: Any, pictures: Sequence[Any]) -> Tensor:
    parameter = next(system.model.model.vision_encoder.parameters())
    pixels = preprocess(system, pictures).to(parameter.device, parameter.dtype)
    with torch.inference_mode():
        features: Tensor = system.model.model.encode_images(pixels)
    return features.cpu()


@contextmanager
def _encoder_precision(encoder: Any, precision: str) -> Iterator[None]:
    """Run the encoder in ``precision`` and give its exact weights back afterwards."""
    was_training = encoder.training
    saved = {name: parameter.data for name, parameter in encoder.named_parameters()}
    encoder.eval()
    try:
        for parameter in encoder.parameters():
            parameter.data = parameter.data.to(DTYPES[precision])
        yield
    finally:
        for name, parameter in encoder.named_parameters():
            parameter.data = saved[name]
        encoder.train(was_training)
