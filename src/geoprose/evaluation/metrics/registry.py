"""The table of metrics; a task's YAML names one per question type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.evaluation.metrics.base import Metric

METRICS: Registry[type[Metric]] = Registry(
    slot="metric",
    table={
        "exact": "geoprose.evaluation.metrics.labels.exact:ExactMatch",
        "list_f1": "geoprose.evaluation.metrics.labels.lists:ListF1",
        "multi_label": "geoprose.evaluation.metrics.labels.lists:MultiLabel",
        "substring": "geoprose.evaluation.metrics.labels.substring:SubstringMatch",
        "token_recall": "geoprose.evaluation.metrics.labels.substring:TokenRecall",
        "nearest_class": "geoprose.evaluation.metrics.labels.substring:NearestClass",
        "ranked": "geoprose.evaluation.metrics.questions.likelihood:Ranked",
        "vqa_soft": "geoprose.evaluation.metrics.questions.vqa:VqaSoft",
        "vqa_synonyms": "geoprose.evaluation.metrics.questions.vqa_synonyms:SynonymMatch",
        "vqa_judge": "geoprose.evaluation.metrics.questions.vqa_judge:JudgeVerdicts",
        "rsvqa_buckets": "geoprose.evaluation.metrics.questions.rsvqa:RsvqaBuckets",
        "yes_no": "geoprose.evaluation.metrics.questions.yes_no:YesNo",
        "paired_yes_no": "geoprose.evaluation.metrics.questions.yes_no:PairedYesNo",
        "choice": "geoprose.evaluation.metrics.questions.choice:Choice",
        "circular_choice": "geoprose.evaluation.metrics.questions.choice:CircularChoice",
        "numeric": "geoprose.evaluation.metrics.questions.numeric:NumericAnswer",
        "containment": "geoprose.evaluation.metrics.questions.ocr:Containment",
        "anls": "geoprose.evaluation.metrics.questions.ocr:Anls",
        "false_premise": "geoprose.evaluation.metrics.questions.hallucination:FalsePremise",
        "chair": "geoprose.evaluation.metrics.questions.chair:Chair",
        "retrieval": "geoprose.evaluation.metrics.retrieval:Retrieval",
        "box": "geoprose.evaluation.metrics.boxes.grounding:Grounding",
        "grounding": "geoprose.evaluation.metrics.boxes.grounding:Grounding",
        "grounding_ratio": "geoprose.evaluation.metrics.boxes.grounding_ratios:GroundingRatio",
        "detection": "geoprose.evaluation.metrics.boxes.detection:Detection",
        "detection_coco": "geoprose.evaluation.metrics.boxes.detection_coco:CocoDetection",
        "segmentation": "geoprose.evaluation.metrics.masks.segmentation:ReferringSegmentation",
        "change": "geoprose.evaluation.metrics.masks.change:ChangeDetection",
        "counting": "geoprose.evaluation.metrics.questions.counting:Counting",
        "caption": "geoprose.evaluation.metrics.text.captions:CaptionMetrics",
        "region_caption": "geoprose.evaluation.metrics.text.region_captions:RegionCaptionMetrics",
        "change_caption": "geoprose.evaluation.metrics.text.change_captions:ChangeCaptionMetrics",
        "rouge": "geoprose.evaluation.metrics.text.text_scores:RougeScore",
        "meteor": "geoprose.evaluation.metrics.text.text_scores:MeteorScore",
        "spice": "geoprose.evaluation.metrics.text.text_scores:SpiceScore",
        "sacrebleu": "geoprose.evaluation.metrics.text.text_scores:SacreBleuScore",
    },
)
