"""A frozen encoder says the same about a picture every time, so it is asked once.

Outputs lie in memory-mapped safetensors shards. The folder's name is a hash of everything the output depends on
(encoder weights, feature choice, preprocessing, precision), so a stale cache cannot be read by mistake.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from geoprose.core.errors import DataError
from geoprose.core.files import write_json
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import VisualInputs
from geoprose.training.access import picture_encoder
from geoprose.training.precision import DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.training.pictures.visuals import VisualFiles
    from geoprose.training.specs.data import FeatureSpec

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
_TENSOR = "features"


class Features(Protocol):
    """Features by the key of a visual, see ``VisualFiles.key``."""

    def get(self, key: str) -> Tensor:
        """Return the features of one visual, (n, P, E)."""
        ...

    def rows(self, key: str, num_rows: int) -> Tensor:
        """Return the features of one visual, of which the encoder gives ``num_rows`` rows."""
        ...


class BlankFeatures:
    """Zeros for every visual: what a blind system is trained and evaluated on.

    Args:
        system: Its encoder is asked once, for the shape and dtype of a row.
    """

    def __init__(self, system: Any) -> None:
        from PIL import Image

        pixels = system.processor.image_processor([Image.new("RGB", (64, 64))], return_tensors="pt")
        self._row = torch.zeros_like(_encode(system, pixels)[:1])

    def get(self, key: str) -> Tensor:
        """Return zeros (1, P, E)."""
        return self._row

    def rows(self, key: str, num_rows: int) -> Tensor:
        """Return zeros (num_rows, P, E)."""
        return self._row.expand(num_rows, *self._row.shape[1:])


class FeatureStore:
    """Features by the key of a visual.

    Args:
        folder: Folder of one cache key; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, tuple[str, int, int]] = {}
        self._slices: dict[str, Any] = {}
        for index in sorted(folder.glob("shard-*.json")):
            self._read_index(index)

    def __contains__(self, key: object) -> bool:
        """Tell whether the visual has been encoded."""
        return key in self._places

    def __len__(self) -> int:
        """Return the number of visuals."""
        return len(self._places)

    def get(self, key: str) -> Tensor:
        """Return the features of one visual, (n, P, E); only its bytes are read from the shard."""
        shard, start, stop = self._places[key]
        if shard not in self._slices:
            from safetensors import safe_open

            # Why not `with`: the handle is the memory map; it lives as long as the store.
            handle: Any = safe_open(self.folder / shard, "pt")
            self._slices[shard] = handle.get_slice(_TENSOR)
        tensor: Tensor = self._slices[shard][start:stop]
        return tensor

    def rows(self, key: str, num_rows: int) -> Tensor:
        """Return the features of one visual.

        Raises:
            DataError: If there are not ``num_rows`` of them.
        """
        features = self.get(key)
        if len(features) != num_rows:
            raise DataError(
                f"The cache {self.folder} holds {len(features)} rows of features of a picture that becomes {num_rows}. "
                "Delete that folder; it is built again."
            )
        return features

    def add(self, keys: Sequence[str], features_NPE: Tensor, rows: Sequence[int] | None = None) -> None:
        """Write one shard; it counts only once its index is there, so a killed writer leaves nothing wrong.

        Args:
            keys: Visuals.
            features_NPE: Their features, one visual after the other.
            rows: Rows of each visual; one by default.

        Raises:
            DataError: If there are not as many features as that.
        """
        from safetensors.torch import save_file

        counts = list(rows or [1] * len(keys))
        if len(counts) != len(keys) or features_NPE.shape[0] != sum(counts):
            raise DataError(
                f"{len(keys)} pictures of {sum(counts)} tiles gave {features_NPE.shape[0]} rows of features, so it is "
                "not known whose they are, and they cannot be cached."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"shard-{hashlib.sha256(''.join(keys).encode()).hexdigest()[:16]}.safetensors"
        save_file({_TENSOR: features_NPE.contiguous()}, self.folder / name)
        index = (self.folder / name).with_suffix(".json")
        shape = list(features_NPE.shape[1:])
        write_json(index, {"file": name, "digests": list(keys), "rows": counts, "shape": shape})
        self._read_index(index)

    def _read_index(self, index: Path) -> None:
        try:
            content = json.loads(index.read_text())
        except json.JSONDecodeError as error:
            raise DataError(f"{index} is damaged. Delete the folder {self.folder}; it is built again.") from error
        start = 0
        for key, count in zip(content["digests"], content.get("rows") or [1] * len(content["digests"]), strict=True):
            self._places[key] = (content["file"], start, start + count)
            start += count


def feature_key(system: Any, spec: FeatureSpec) -> str:
    """Return the hash of all that a feature depends on except the image; it reads all weights of the encoder."""
    digest = hashlib.sha256()
    encoder = picture_encoder(system.model)
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
    system: Any, visuals: Mapping[str, VisualFiles], spec: FeatureSpec, store: FeatureStore, progress: Progress
) -> FeatureStore:
    """Encode the pictures and videos that the cache lacks.

    Args:
        system: Its frozen encoder and image processor are used.
        visuals: By key.
        spec: Precision, batch size, shard size.
        store: What there is already, in a folder that ``feature_key`` names; it is added to and returned.
        progress: Called with (done, total) after every batch; what it raises stops the work between two batches.
    """
    missing = [key for key in visuals if key not in store]
    total = len(missing)
    done = 0
    for start in range(0, total, spec.shard_images):
        keys = missing[start : start + spec.shard_images]
        parts: list[Tensor] = []
        rows: list[int] = []
        with _encoder_precision(picture_encoder(system.model), spec.encoder_precision):
            for batch in _batches(system, [visuals[key] for key in keys], spec.batch_size):
                features = _encode(system, batch)
                # Why not always: codes of an image tokenizer are numbers of words.
                parts.append(features.to(DTYPES[spec.dtype]) if features.is_floating_point() else features)
                rows += num_feature_rows(system, batch["visual_layouts"])
                done += len(batch["visual_layouts"])
                progress(done, total)
        store.add(keys, torch.cat(parts), rows)
    logger.info("features: %d images encoded, %d from the cache", total, len(visuals) - total)
    return store


def num_feature_rows(system: Any, layouts_S6: Tensor) -> list[int]:
    """Return the rows of features that each visual takes."""
    encoder = picture_encoder(system.model)
    return [encoder.num_feature_rows(VisualLayout(*row)) for row in layouts_S6.tolist()]


def preprocess(system: Any, visuals: Iterable[VisualFiles]) -> dict[str, Tensor]:
    """Return what the encoder reads of some visuals, each planned as in its own sample, and ``visual_layouts``."""
    return _joined([_inputs(system, visual) for visual in visuals])


def _inputs(system: Any, visual: VisualFiles) -> dict[str, Tensor]:
    processor = system.processor.image_processor
    return dict(processor([visual.read()], num_pictures=visual.num_pictures, return_tensors="pt"))


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _batches(system: Any, visuals: Iterable[VisualFiles], num_rows: int) -> Iterator[dict[str, Tensor]]:
    """Yield the encoder's inputs of whole visuals that together give ``num_rows`` rows of features, or some more."""
    parts: list[dict[str, Tensor]] = []
    rows = 0
    for visual in visuals:
        parts.append(_inputs(system, visual))
        rows += sum(num_feature_rows(system, parts[-1]["visual_layouts"]))
        if rows >= num_rows:
            yield _joined(parts)
            parts, rows = [], 0
    if parts:
        yield _joined(parts)


def input_statistics(store: Features, digests: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each encoder channel (E,) over all patches of the images, float32.

    Raises:
        DataError: If there is no image.
    """
    total = torch.zeros((), dtype=torch.float64)
    squares = torch.zeros((), dtype=torch.float64)
    count = 0
    for digest in digests:
        features_PE = store.get(digest).double().flatten(0, -2)
        total = total + features_PE.sum(0)
        squares = squares + features_PE.square().sum(0)
        count += features_PE.shape[0]
    if count == 0:
        raise DataError("There is no image to compute input statistics from.")
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(1e-4)
    return mean.float(), std.float()


def _encode(system: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    encoder = picture_encoder(system.model)
    parameter = next(encoder.parameters())
    placed = {
        name: value.to(parameter.device, parameter.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }
    with torch.inference_mode():
        features: Tensor = encoder.encode(VisualInputs(**placed))
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
