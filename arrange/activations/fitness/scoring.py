"""What predictions are worth: errors, log-ratios against the reference, and the fitness.

How noisy the fitness is (36 problems x 8 seeds): which activation is best depends more on the problem (standard
deviation 0.69) than on the activation itself (0.41), and less on the seed (0.27). So more problems are worth more than
more seeds, and a candidate that looked good on some problems is tested again on others.
"""

from collections.abc import Sequence

import numpy as np

from arrange.activations.evaluation import Arrays, Measurement
from arrange.activations.problems.problem import Problem
from arrange.activations.settings import Rung

CLIP = 2.0  # of a log-ratio, so that a single problem on which an activation fails does not decide


def scores(name: str, rung: Rung, problems: Sequence[Problem], arrays: Arrays) -> list[Measurement]:
    """The errors of the predictions of `training.fit`: one measurement per problem and seed.

    Each has the learning rate with the lowest error on the validation points, which are in distribution. Errors are
    mean squares over the variance of the noiseless training targets; inf where a prediction is not finite.

    Raises ValueError where the arrays aren't predictions for these problems.
    """
    train_PSR, valid_PSR, ood_PSR = (
        _errors(np.stack([getattr(problem, f"{part}_y_N") for problem in problems]), rung, arrays.get(part))
        for part in ("train", "valid", "ood")
    )
    measurements = []
    for (p, s), r in np.ndenumerate(valid_PSR.argmin(axis=2)):
        errors = (float(errors_PSR[p, s, r]) for errors_PSR in (train_PSR, valid_PSR, ood_PSR))
        measurements.append(Measurement(name, problems[p].name, problems[p].family, s, rung.rates[r], *errors))
    return measurements


def log_ratios(measured: Sequence[Measurement], reference: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """log(error / error of the reference) out of distribution by family and problem; below 0 is better.

    Each problem and seed is compared with the reference's network of the same first weights and clipped to +-CLIP;
    then seeds are averaged. Where the candidate diverged it counts as +CLIP, whatever the reference did.
    """
    reference_errors = {(one.problem, one.seed): one.ood for one in reference}
    ratios: dict[str, dict[str, list[float]]] = {}
    for one in measured:
        of_problem = ratios.setdefault(one.family, {}).setdefault(one.problem, [])
        of_problem.append(_log_ratio(one.ood, reference_errors[one.problem, one.seed]))
    return {
        family: {problem: float(np.mean(of_problem)) for problem, of_problem in of_family.items()}
        for family, of_family in ratios.items()
    }


def fitness_of(measured: Sequence[Measurement], reference: Sequence[Measurement]) -> float:
    """Minus the mean log-ratio, problems averaged in their family and families weighted equally.

    Above 0 is better than the reference: 0.1 is an error out of distribution that is 10% lower.
    """
    return float(np.mean(list(gains(measured, reference).values())))


def gains(measured: Sequence[Measurement], reference: Sequence[Measurement]) -> dict[str, float]:
    """Minus the mean log-ratio of each family."""
    ratios = log_ratios(measured, reference)
    return {family: -float(np.mean(list(of_family.values()))) for family, of_family in ratios.items()}


def _log_ratio(error: float, reference: float) -> float:
    if not np.isfinite(error):
        return CLIP
    with np.errstate(divide="ignore"):  # an error of 0 is at the clip
        return float(np.clip(np.log(error) - np.log(reference), -CLIP, CLIP))


def _errors(target_PN: np.ndarray, rung: Rung, predicted: np.ndarray | None) -> np.ndarray:
    """Mean squared errors, P x S x R."""
    shape = (len(target_PN), rung.seeds, len(rung.rates), target_PN.shape[1])
    if predicted is None or predicted.shape != shape:
        raise ValueError(f"no predictions of shape {shape}")
    with np.errstate(all="ignore"):
        errors_PSR = ((predicted.astype(np.float64) - target_PN[:, None, None]) ** 2).mean(axis=3)
    return np.where(np.isfinite(errors_PSR), errors_PSR, np.inf)
