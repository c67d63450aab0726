"""One tree of errors; each message says what failed, where, why, and what to do.

::

    GeoproseError                 exit 1
    |-- ConfigError               exit 2   a spec, recipe or override is wrong (also a ValueError)
    |   `-- PresetError           exit 2   unknown or broken preset name
    |-- ResourceError             exit 3   weights, a package or a device is missing
    |   `-- AssetError            exit 3   an asset is absent, mismatched or of unknown licence
    |-- InputError                exit 4   something the user gave cannot be used (also a ValueError)
    |   |-- SceneError            exit 4   a scene cannot be opened or read
    |   |-- GeoreferenceError     exit 4   no CRS, or a transform that cannot be used
    |   |-- ProcessingError       exit 4   pixels or messages that do not fit the processor
    |   |-- AnswerParseError      exit 4   generated text that holds no readable answer
    |   |-- DataError             exit 4   a dataset or record is broken
    |   `-- TaskError             exit 4   an evaluation task or its predictions are broken
    |-- ModelError                exit 1   a model is inconsistent with its config or weights
    |-- TrainingError             exit 1   training cannot go on (NaN, lock, checkpoint)
    `-- PartialFailureError       exit 5   some items failed, the rest are written
"""

from __future__ import annotations

from typing import ClassVar


class GeoproseError(Exception):
    """Base of every error that geoprose raises on purpose."""

    exit_code: ClassVar[int] = 1
    """Process exit status of the command line for this error."""


class ConfigError(GeoproseError, ValueError):
    """A spec, recipe, override or option is wrong."""

    exit_code = 2


class PresetError(ConfigError):
    """A preset name is unknown or the preset is broken."""


class ResourceError(GeoproseError):
    """Something that must be present on this machine is not."""

    exit_code = 3


class AssetError(ResourceError):
    """An asset is missing, does not match its checksum, or has no recorded licence."""


class InputError(GeoproseError, ValueError):
    """A user's input cannot be used."""

    exit_code = 4


class SceneError(InputError):
    """A scene cannot be opened or read safely."""


class GeoreferenceError(InputError):
    """A scene has no CRS or no usable transform."""


class ProcessingError(InputError):
    """Pixels or messages do not fit what the processor expects."""


class AnswerParseError(InputError):
    """Generated text holds no readable answer of the expected format."""


class DataError(InputError):
    """A dataset or one of its records is broken."""


class TaskError(InputError):
    """An evaluation task or a prediction file is broken."""


class ModelError(GeoproseError):
    """A model is inconsistent with its configuration or its weights."""


class TrainingError(GeoproseError):
    """Training cannot go on."""


class PartialFailureError(GeoproseError):
    """Some items failed; everything else has been written."""

    exit_code = 5
