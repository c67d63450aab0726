"""Register the processor with the Auto classes of transformers; importing this module does it.

The model classes register themselves in geoprose.models.composite; models and processing may not import each other,
so the processor is registered here.
"""

from __future__ import annotations

from transformers import AutoImageProcessor, AutoProcessor

from geoprose.models.config import GeoproseConfig
from geoprose.models.dual.config import DualEncoderConfig
from geoprose.models.seq2seq import GeoproseSeq2SeqConfig
from geoprose.processing.dual import DualEncoderProcessor
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.processing.processor import GeoproseProcessor

for _config in (GeoproseConfig, GeoproseSeq2SeqConfig):
    AutoImageProcessor.register(_config, image_processor_classes={"pil": GeoproseImageProcessor}, exist_ok=True)
    AutoProcessor.register(_config, GeoproseProcessor, exist_ok=True)
AutoImageProcessor.register(DualEncoderConfig, image_processor_classes={"pil": GeoproseImageProcessor}, exist_ok=True)
AutoProcessor.register(DualEncoderConfig, DualEncoderProcessor, exist_ok=True)
