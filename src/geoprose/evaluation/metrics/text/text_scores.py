"""One measure of text as the score: ROUGE, METEOR, SPICE or sacrebleu's BLEU; each item on its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError
from geoprose.data.sentences.ngrams import encode_captions
from geoprose.data.sentences.tokens import WORDS, WordSplit
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.text.bleu import sacrebleu_score
from geoprose.evaluation.metrics.text.captions import encode_items
from geoprose.evaluation.metrics.text.meteor import meteor
from geoprose.evaluation.metrics.text.meteor_java import meteor_15, package_version, spice
from geoprose.evaluation.metrics.text.rouge import rouge_l_f1, rouge_n_f1, tokenise_rouge
from geoprose.evaluation.metrics.text.wordnet import packaged_wordnet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import JsonValue
    from geoprose.data.sentences.ngrams import Tokens
    from geoprose.evaluation.metrics.text.meteor import Synonyms

RougeKind = Literal["1", "2", "L"]
OverReferences = Literal["best", "mean"]
MeteorKind = Literal["wordnet", "exact_stem", "1.5"]


class RougeScore:
    """ROUGE-1, ROUGE-2 or ROUGE-L F1 on the tokens of the package rouge-score.

    Args:
        kind: Which one.
        is_stemmed: Whether words are cut to their stems.
        over_references: The best reference, as rouge-score does with several, or their mean, as EarthDial does.
    """

    is_accuracy = True
    is_itemwise = True

    def __init__(
        self, *, kind: RougeKind = "L", is_stemmed: bool = True, over_references: OverReferences = "best"
    ) -> None:
        self.name = f"ROUGE-{kind} F1"
        self._kind = kind
        self._is_stemmed = is_stemmed
        self._over_references = over_references

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        library = "rouge-score's definition, computed by geoprose"
        tables: dict[str, JsonValue] = {"library": {"rouge": library, "is_stemmed": self._is_stemmed}}
        return Judged(tuple(self._judge(item) for item in items), tables=tables)

    def value(self, prediction: str, references: Sequence[str]) -> float:
        """Return the score of one text."""
        words = tokenise_rouge(prediction, self._is_stemmed)
        scores = [self._f1(words, tokenise_rouge(text, self._is_stemmed)) for text in references]
        if self._over_references == "mean":
            return sum(scores) / max(len(scores), 1)
        return max(scores, default=0.0)

    def _f1(self, words: Tokens, reference: Tokens) -> float:
        return rouge_l_f1(words, reference) if self._kind == "L" else rouge_n_f1(words, reference, int(self._kind))

    def _judge(self, item: Item) -> Judgement:
        words = tokenise_rouge(item.prediction)
        return Judgement(self.value(item.prediction, item.references), bool(words), " ".join(words))


class MeteorScore:
    """METEOR, with the name and version of what computed it.

    Args:
        kind: ``wordnet``: equal to nltk's with the packaged WordNet; ``exact_stem``: without synonyms; ``1.5``: the
            Java program of pycocoevalcap.
        words: How texts are split; ``ids`` puts a number in the place of each word, as RSICC's script does.
    """

    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, kind: MeteorKind = "wordnet", words: WordSplit | Literal["ids"] = "ptb") -> None:
        self.name = "METEOR 1.5" if kind == "1.5" else "METEOR"
        self._kind = kind
        self._words = words

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own; METEOR 1.5 of the whole set is not the mean of the items.

        Raises:
            ResourceError: If what the kind needs (WordNet; Java and pycocoevalcap) is not there.
        """
        if not items:  # nothing is needed to score nothing
            return Judged(())
        candidates, references = self._split(items)
        corpus: dict[str, float] = {}
        if self._kind == "1.5":
            joined = [[" ".join(words) for words in own] for own in references]
            corpus["meteor_15"], scores = meteor_15([" ".join(words) for words in candidates], joined)
            library = f"METEOR 1.5 (Java) of {package_version()}"
        else:
            synonyms, library = meteor_synonyms(self._kind)
            pairs = zip(candidates, references, strict=True)
            scores = [meteor(candidate, own, synonyms) for candidate, own in pairs]
        judged = tuple(
            Judgement(score if words else 0.0, bool(words), " ".join(words))
            for score, words in zip(scores, candidates, strict=True)
        )
        return Judged(judged, corpus, {"library": {"meteor": library, "words": self._words}})

    def _split(self, items: Sequence[Item]) -> tuple[list[Tokens], list[list[Tokens]]]:
        split = WORDS["ptb" if self._words == "ids" else self._words]
        candidates: list[Tokens] = [split(item.prediction) for item in items]
        references: list[list[Tokens]] = [[split(text) for text in item.references] for item in items]
        if self._words != "ids":
            return candidates, references
        numbers: dict[str, str] = {}

        def number(words: Tokens) -> Tokens:
            return [numbers.setdefault(word, str(len(numbers))) for word in words]

        return [number(words) for words in candidates], [[number(words) for words in own] for own in references]


class SpiceScore:
    """SPICE F1 through Java."""

    name = "SPICE"
    is_accuracy = True
    is_itemwise = False

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items in one run of the program.

        Raises:
            ResourceError: If Java, pycocoevalcap or its Stanford models are not there.
        """
        candidates = [" ".join(WORDS["ptb"](item.prediction)) for item in items]
        references = [[" ".join(WORDS["ptb"](text)) for text in item.references] for item in items]
        scores = spice(candidates, references) if items else []
        judged = tuple(Judgement(s if c else 0.0, bool(c), c) for s, c in zip(scores, candidates, strict=True))
        return Judged(judged, tables={"library": {"spice": f"SPICE 1.0 (Java) of {package_version()}"}})


class SacreBleuScore:
    """sacrebleu's BLEU-4: the corpus value, and as each item's score the BLEU of that item alone."""

    name = "sentence BLEU"
    is_accuracy = True
    is_itemwise = False

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items; the mean of the items is not the corpus value, which stands beside it."""
        if not items:
            return Judged(())
        candidates, captions = encode_items(items, "13a")
        judged = tuple(
            Judgement(self._sentence(words, item.references), bool(words), " ".join(words))
            for words, item in zip(candidates, items, strict=True)
        )
        library = "sacrebleu's definition (13a tokens, case kept, exponential smoothing), computed by geoprose"
        return Judged(judged, {"sacrebleu": sacrebleu_score(captions)}, {"library": {"bleu": library}})

    def _sentence(self, words: Tokens, references: Sequence[str]) -> float:
        alone = encode_captions([words], [[WORDS["13a"](text) for text in references]])
        return sacrebleu_score(alone, is_effective_order=True) / 100


def meteor_synonyms(kind: MeteorKind) -> tuple[Synonyms | None, str]:
    """Return where a METEOR without Java takes its synonyms, and how the report names it.

    Raises:
        AssetError: If WordNet is not on this machine.
        ConfigError: If the kind is not one of METEOR without Java.
    """
    if kind == "exact_stem":
        return None, "METEOR (2007) without synonyms, computed by geoprose"
    if kind != "wordnet":
        raise ConfigError(f"METEOR {kind} takes no synonyms from here; choose wordnet or exact_stem.")
    wordnet = packaged_wordnet()
    return wordnet.synonyms, f"METEOR (2007) as nltk computes it, by geoprose, with WordNet {wordnet.version}"
