"""Register the processor with the Auto classes of transformers; importing this module does it.

The model classes register themselves in geoprose.models.composite; models and processing may not import each other,
so the processor is registered here.
"""

from __future__ import annotations

from transformers import AutoImageProcessor, AutoProcessor

from geoprose.models.config import GeoproseConfig
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.processing.processor import GeoproseProcessor

AutoImageProcessor.register(GeoproseConfig, image_processor_classes={"pil": GeoproseImageProcessor}, exist_ok=True)
AutoProcessor.register(GeoproseConfig, GeoproseProcessor, exist_ok=True)
