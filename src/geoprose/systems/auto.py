"""Register the processor with the Auto classes of transformers; importing this module does it.

The model classes register themselves in geoprose.models.composite; models and processing may not import each other,
so the processor is registered here.
"""

from __future__ import annotations

from transformers import AutoImageProcessor, AutoProcessor

from geoprose.models import seq2seq as _seq2seq  # noqa: F401 - registers its models
from geoprose.models.config import GeoproseConfig
from geoprose.models.dense.config import DenseConfig
from geoprose.models.dual.config import DualEncoderConfig
from geoprose.models.factorised.config import FactorisedConfig
from geoprose.models.seq2seq_config import GeoproseSeq2SeqConfig
from geoprose.processing.dense import DenseProcessor
from geoprose.processing.dual import DualEncoderProcessor
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.processing.multi_source import MultiSourceProcessor
from geoprose.processing.processor import GeoproseProcessor

for _config in (GeoproseConfig, GeoproseSeq2SeqConfig):
    AutoImageProcessor.register(_config, image_processor_classes={"pil": GeoproseImageProcessor}, exist_ok=True)
    AutoProcessor.register(_config, GeoproseProcessor, exist_ok=True)
for _other, _processor in ((DenseConfig, DenseProcessor), (DualEncoderConfig, DualEncoderProcessor)):
    AutoImageProcessor.register(_other, image_processor_classes={"pil": GeoproseImageProcessor}, exist_ok=True)
    AutoProcessor.register(_other, _processor, exist_ok=True)
AutoImageProcessor.register(FactorisedConfig, image_processor_classes={"pil": MultiSourceProcessor}, exist_ok=True)
