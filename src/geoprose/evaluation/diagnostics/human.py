"""Which metric agrees with people: ratings of a run's answers against the scores of every metric."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import PositiveInt

from geoprose.core.errors import ConfigError, TaskError
from geoprose.evaluation.diagnostics.agreement import kendall_tau_b, krippendorff_alpha, spearman, tied_share
from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.item_scores import scores_by_metric
from geoprose.evaluation.diagnostics.ratings import Ratings, read_ratings
from geoprose.evaluation.diagnostics.resampling import interval, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from geoprose.core.types import JsonValue
    from geoprose.evaluation.diagnostics.base import Request

TOO_FEW = 10


class HumanCorrelation(Diagnostic):
    """Metrics ranked by their agreement with raters."""

    title: ClassVar[str] = "Agreement of metrics with raters"
    description: ClassVar[str] = (
        "Expert ratings of a run's answers (CSV: id, rater, rating) against every metric's score of the same answers: "
        "Kendall's tau-b and Spearman's correlation with the mean rating, pictures resampled, metrics ranked by "
        "tau-b. Krippendorff's alpha (ordinal) says how far the raters agree among themselves: a metric cannot be "
        "expected to agree more with them. The headline is the tau-b of the best metric that has no known fault."
    )

    ratings: str = ""
    """CSV file with the columns id, rater and rating."""
    run_dir: str = ""
    """Folder of the finished run whose answers were rated."""
    num_resamples: PositiveInt = 500
    """Resamples behind the intervals."""

    def run(self, request: Request) -> Finding:
        """Judge the rated answers by every metric and rank the metrics."""
        if not self.ratings or not self.run_dir:
            raise ConfigError("Give the ratings and the run that they are about: --ratings FILE.csv --run DIR.")
        ratings = read_ratings(Path(self.ratings))
        task, data_dir = request.question_set()
        scored = scores_by_metric(task, data_dir, Path(self.run_dir), request.limit)
        ids = [name for name in scored.clusters if name in ratings.by_id]
        if len(ids) < 3:
            raise TaskError(
                f"{len(ids)} rated ids are answers of {self.run_dir} (first rated: {next(iter(ratings.by_id))!r}). The "
                "ids must be those of predictions.jsonl; at least three are needed."
            )
        human = [ratings.means[name] for name in ids]
        draws = _draws([scored.clusters[name] for name in ids], self.seed, self.num_resamples)
        rows, constant = {}, {}
        for name, by_id in scored.scores.items():
            own = {place: by_id[identifier] for place, identifier in enumerate(ids) if identifier in by_id}
            row = _row(own, human, draws)
            if row is None:
                constant[name] = f"its {len(own)} scores of rated answers are all equal"
            else:
                rows[name] = {**row, "is_flagged": name in scored.flagged}
        if len(set(human)) < 2:
            raise TaskError("All mean ratings are equal, so no metric can be ranked by them.")
        return self._finding((ratings, scored.clusters), ids, rows, {**scored.unavailable, **constant})

    def _finding(
        self,
        known: tuple[Ratings, dict[str, str]],
        ids: list[str],
        rows: dict[str, dict[str, JsonValue]],
        unavailable: dict[str, str],
    ) -> Finding:
        ratings, clusters = known
        ranked = sorted(rows.items(), key=lambda item: -float(str(item[1]["kendall_tau_b"])))
        units = [list(ratings.by_id[name].values()) for name in ids]
        alpha = krippendorff_alpha(units)
        if not np.isfinite(alpha):
            unavailable = {**unavailable, "alpha": "no answer was rated by two people"}
        unknown = [name for name in ratings.by_id if name not in clusters]
        counts: dict[str, JsonValue] = {
            "answers_rated": len(ids),
            "answers_not_rated": len(clusters) - len(ids),
            "ratings": sum(map(len, units)),
            "raters": len(ratings.raters),
            "ratings_left_empty": ratings.empty,
            "rated_ids_that_are_no_answers": len(unknown),
            "answers_with_two_raters": sum(len(unit) > 1 for unit in units),
            "krippendorff_alpha": plain(alpha),
            "share_of_pairs_tied_by_raters": tied_share([ratings.means[name] for name in ids]),
        }
        warnings = [f"{len(unknown)} rated ids are no answers of the run (first: {unknown[0]})."] if unknown else []
        if len(ids) < TOO_FEW:
            warnings.append(f"Only {len(ids)} answers are rated: the ranking of metrics is hardly more than chance.")
        sound = [(name, row) for name, row in ranked if not row["is_flagged"]]
        best, row = (sound or ranked or [("", {})])[0]
        table: dict[str, JsonValue] = {name: dict(values) for name, values in ranked}
        return Finding(
            f"rank correlation (Kendall tau-b) of {best or 'no metric'}",
            float(str(row["kendall_tau_b"])) if row else None,
            len(ids),
            _ends(row),
            is_share=False,
            tables={"metrics": table, "raters": counts, "rater_against_the_others": _raters(ratings, ids)},
            unavailable=unavailable,
            warnings=tuple(warnings),
            facts={"system": {"name": Path(self.run_dir).name}, "best_metric": best},
        )


def _row(own: dict[int, float], human: Sequence[float], draws: Sequence[Sequence[int]]) -> dict[str, JsonValue] | None:
    """Return both correlations of a metric with their intervals; None where either side has one value."""
    places = list(own)
    ours, theirs = [own[place] for place in places], [human[place] for place in places]
    tau, rho = kendall_tau_b(ours, theirs), spearman(ours, theirs)
    if not np.isfinite(tau):
        return None
    resampled = [[place for place in draw if place in own] for draw in draws]
    ends: dict[str, JsonValue] = {}
    for name, measure in (("tau", kendall_tau_b), ("spearman", spearman)):
        low, high = interval(np.array([_measured(measure, own, human, draw) for draw in resampled]))
        ends |= {f"{name}_low": plain(low), f"{name}_high": plain(high)}
    return {"n": len(places), "kendall_tau_b": tau, "spearman": rho, **ends, "share_of_pairs_tied": tied_share(ours)}


def _ends(row: Mapping[str, JsonValue]) -> tuple[float, ...]:
    ends = [row.get(name) for name in ("tau_low", "tau_high")]
    return tuple(float(str(end)) for end in ends) if None not in ends else ()


def _measured(
    measure: Callable[[Sequence[float], Sequence[float]], float],
    own: dict[int, float],
    human: Sequence[float],
    draw: Sequence[int],
) -> float:
    return measure([own[place] for place in draw], [human[place] for place in draw])


def _draws(clusters: Sequence[str], seed: int, count: int) -> list[list[int]]:
    """Return resampled places: pictures are drawn with replacement, and all their answers with them."""
    by_cluster: dict[str, list[int]] = defaultdict(list)
    for place, cluster in enumerate(clusters):
        by_cluster[cluster].append(place)
    groups = list(by_cluster.values())
    rng = np.random.default_rng(seed)
    return [
        [place for group in rng.integers(0, len(groups), len(groups)) for place in groups[group]] for _ in range(count)
    ]


def _raters(ratings: Ratings, ids: Sequence[str]) -> dict[str, JsonValue]:
    """Return how each rater agrees with the mean of the others: what a metric may hope for."""
    rows: dict[str, JsonValue] = {}
    for rater in ratings.raters:
        pairs = []
        for name in ids:
            given = ratings.by_id[name]
            others = [value for other, value in given.items() if other != rater]
            if rater in given and others:
                pairs.append((given[rater], sum(others) / len(others)))
        tau = kendall_tau_b([own for own, _ in pairs], [other for _, other in pairs]) if pairs else float("nan")
        rows[rater] = {"n": len(pairs), "kendall_tau_b": plain(tau)}
    return rows
