"""Published layouts of the same models: key maps, configs, and what their classes call the inputs.

One file per family. Imported by systems (import, export, verify) and by the parity tests. Start at base.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.systems.interop.base import Reference

REFERENCES: Registry[type[Reference]] = Registry(
    slot="reference",
    table={
        "blip2": "geoprose.systems.interop.blip2:Blip2Reference",
        "chameleon": "geoprose.systems.interop.chameleon:ChameleonReference",
        "clip": "geoprose.systems.interop.dual_encoder:ClipReference",
        "deepseek_vl": "geoprose.systems.interop.deepseek_vl:DeepseekVlReference",
        "deepseek_vl_hybrid": "geoprose.systems.interop.deepseek_vl:DeepseekVlHybridReference",
        "emu3": "geoprose.systems.interop.emu3:Emu3Reference",
        "fuyu": "geoprose.systems.interop.fuyu:FuyuReference",
        "idefics": "geoprose.systems.interop.idefics:IdeficsReference",
        "instructblip": "geoprose.systems.interop.blip2:InstructBlipReference",
        "internvl": "geoprose.systems.interop.internvl:InternvlReference",
        "janus": "geoprose.systems.interop.janus:JanusReference",
        "llava": "geoprose.systems.interop.llava:LlavaReference",
        "llava_next": "geoprose.systems.interop.llava_next:LlavaNextReference",
        "llava_onevision": "geoprose.systems.interop.llava_next:LlavaOnevisionReference",
        "mllama": "geoprose.systems.interop.mllama:MllamaReference",
        "open_clip": "geoprose.systems.interop.open_clip:OpenClipReference",
        "qwen2_vl": "geoprose.systems.interop.qwen2_vl:Qwen2VlReference",
        "siglip": "geoprose.systems.interop.dual_encoder:SiglipReference",
        "vision_text_pair": "geoprose.systems.interop.dual_encoder:PairReference",
    },
)
