"""The table of metrics; a task's YAML names one per question type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.evaluation.metrics.base import Metric

METRICS: Registry[type[Metric]] = Registry(
    slot="metric",
    table={
        "exact": "geoprose.evaluation.metrics.exact:ExactMatch",
        "list_f1": "geoprose.evaluation.metrics.lists:ListF1",
        "multi_label": "geoprose.evaluation.metrics.lists:MultiLabel",
        "substring": "geoprose.evaluation.metrics.substring:SubstringMatch",
        "token_recall": "geoprose.evaluation.metrics.substring:TokenRecall",
        "nearest_class": "geoprose.evaluation.metrics.substring:NearestClass",
        "ranked": "geoprose.evaluation.metrics.likelihood:Ranked",
        "vqa_soft": "geoprose.evaluation.metrics.vqa:VqaSoft",
        "vqa_synonyms": "geoprose.evaluation.metrics.vqa_synonyms:SynonymMatch",
        "vqa_judge": "geoprose.evaluation.metrics.vqa_judge:JudgeVerdicts",
        "rsvqa_buckets": "geoprose.evaluation.metrics.rsvqa:RsvqaBuckets",
        "yes_no": "geoprose.evaluation.metrics.yes_no:YesNo",
        "paired_yes_no": "geoprose.evaluation.metrics.yes_no:PairedYesNo",
        "choice": "geoprose.evaluation.metrics.choice:Choice",
        "circular_choice": "geoprose.evaluation.metrics.choice:CircularChoice",
        "numeric": "geoprose.evaluation.metrics.numeric:NumericAnswer",
        "containment": "geoprose.evaluation.metrics.ocr:Containment",
        "anls": "geoprose.evaluation.metrics.ocr:Anls",
        "false_premise": "geoprose.evaluation.metrics.hallucination:FalsePremise",
        "chair": "geoprose.evaluation.metrics.chair:Chair",
        "retrieval": "geoprose.evaluation.metrics.retrieval:Retrieval",
        "box": "geoprose.evaluation.metrics.grounding:Grounding",
        "grounding": "geoprose.evaluation.metrics.grounding:Grounding",
        "grounding_ratio": "geoprose.evaluation.metrics.grounding_ratios:GroundingRatio",
        "detection": "geoprose.evaluation.metrics.detection:Detection",
        "detection_coco": "geoprose.evaluation.metrics.detection_coco:CocoDetection",
        "segmentation": "geoprose.evaluation.metrics.segmentation:ReferringSegmentation",
        "change": "geoprose.evaluation.metrics.change:ChangeDetection",
        "counting": "geoprose.evaluation.metrics.counting:Counting",
        "caption": "geoprose.evaluation.metrics.captions:CaptionMetrics",
        "region_caption": "geoprose.evaluation.metrics.region_captions:RegionCaptionMetrics",
        "change_caption": "geoprose.evaluation.metrics.change_captions:ChangeCaptionMetrics",
        "rouge": "geoprose.evaluation.metrics.text_scores:RougeScore",
        "meteor": "geoprose.evaluation.metrics.text_scores:MeteorScore",
        "spice": "geoprose.evaluation.metrics.text_scores:SpiceScore",
        "sacrebleu": "geoprose.evaluation.metrics.text_scores:SacreBleuScore",
    },
)
