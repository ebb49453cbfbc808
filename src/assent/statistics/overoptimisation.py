"""Over-optimisation: how the true ("gold") score rises and falls as a policy moves away from where it began.

Gao, Schulman and Hilton (2022): with d = sqrt(KL(policy || initial policy)), the gold score gained over the initial
policy is d (a - b d) for best-of-n and d (a - b ln d) for reinforcement learning. Both are linear in a and b, so that
least squares is exact, and both peaks depend on a / b alone: there lies the KL that is recommended.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

from assent.statistics.intervals import Interval, Listed

Kind = Literal["rl", "bon"]


def best_of_n_kl(n: int) -> float:
    """KL, in nats, of best-of-n sampling from the policy it samples: ln n - (n - 1) / n; an upper bound with ties."""
    if n < 1:
        raise ValueError(f"best of {n}: at least one response is drawn")
    return math.log(n) - (n - 1) / n


def best_of_n(proxy: Listed, gold: Listed, n: int) -> float:
    """The expected gold score of the best by proxy of `n` responses, from all N that were sampled for one prompt.

    proxy, gold: [N], N >= n. Unbiased: the mean over all subsets of n. The i-th smallest of N is the best of
    C(i - 1, n - 1) of the C(N, n) subsets; responses with equal proxy scores share what falls to them. Raises
    ValueError when the lengths differ, a score is not finite, or n is not in 1..N.
    """
    score, worth = _finite("proxy", proxy), _finite("gold", gold)
    if score.shape != worth.shape or not 1 <= n <= len(score):
        raise ValueError(f"best of {n} from {len(score)} proxy and {len(worth)} gold scores; it needs 1 <= n <= N")
    place = np.arange(len(score), n, -1)  # N down to n + 1: what each weight is multiplied by to give the one below
    falling = np.cumprod(np.concatenate([[n / len(score)], (place - n) / (place - 1)]))
    weights = np.concatenate([np.zeros(n - 1), falling[::-1]])
    _, tied, counts = np.unique(score, return_inverse=True, return_counts=True)
    shared = np.bincount(tied, weights=weights[np.argsort(np.argsort(score, kind="stable"))]) / counts
    return float(shared[tied] @ worth)


@dataclass(frozen=True)
class Fit:
    """A fitted curve of gold score against KL.

    a, b: of the formula for `kind`, with 95 % t intervals. peak_kl: the KL, in nats, at which the gold score is
    highest, the recommended budget, with Fieller's interval (its high end is infinite when the data do not show that
    the curve turns). peak_gold: the score gained there. Peaks are None when the curve never turns. highest_kl: the
    largest KL that was measured; a peak beyond it is an extrapolation. r_squared: of the variance about the mean.
    """

    kind: Kind
    a: float
    b: float
    a_interval: Interval
    b_interval: Interval
    peak_kl: float | None
    peak_kl_interval: Interval | None
    peak_gold: float | None
    highest_kl: float
    r_squared: float

    @property
    def extrapolated(self) -> bool:
        """Whether the peak, if there is one, lies beyond what was measured."""
        return self.peak_kl is None or self.peak_kl > self.highest_kl

    def gold(self, kl: Listed) -> Float[np.ndarray, " n"]:
        """The gold score, over the initial policy's, that the curve has at `kl`, [n] in nats."""
        return _columns(np.asarray(kl, dtype=np.float64), self.kind) @ np.array([self.a, self.b])


def fit(kl: Listed, gold: Listed, kind: Kind) -> Fit:
    """Least squares of the gold score on sqrt(KL).

    kl: [n] in nats, >= 0; gold: [n], minus the gold score of the initial policy, so that it is 0 at KL 0. Points at
    KL 0 say nothing and are left out. With two points the curve goes through both and the intervals are NaN. Raises
    ValueError for lengths that differ, values that are not finite or negative, and fewer than two different KLs.
    """
    distance, score = _finite("kl", kl), _finite("gold", gold)
    if distance.shape != score.shape:
        raise ValueError(f"{len(distance)} KLs and {len(score)} gold scores; every point has one of each")
    if (distance < 0).any():
        raise ValueError(f"a KL of {distance.min():.4g}; estimate it so that it is not negative, or drop the point")
    distance, score = distance[distance > 0], score[distance > 0]
    if len(np.unique(distance)) < 2:
        raise ValueError("a curve needs at least two different KLs above 0; measure more checkpoints or more n")
    columns = _columns(distance, kind)
    (a, b), *_ = np.linalg.lstsq(columns, score, rcond=None)
    free = len(score) - 2
    missed = float(((score - columns @ [a, b]) ** 2).sum())
    variance = missed / free if free else math.nan
    covariance = variance * np.linalg.inv(columns.T @ columns)
    t = float(stats.t.ppf(0.975, free)) if free else math.nan
    halves = t * np.sqrt(covariance.diagonal())
    total = float(((score - score.mean()) ** 2).sum())
    peak_kl, peak_gold = _peak(float(a), float(b), kind)
    return Fit(
        kind=kind,
        a=float(a),
        b=float(b),
        a_interval=Interval(float(a), float(a - halves[0]), float(a + halves[0])),
        b_interval=Interval(float(b), float(b - halves[1]), float(b + halves[1])),
        peak_kl=peak_kl,
        peak_kl_interval=None
        if peak_kl is None
        else _peak_interval(peak_kl, (float(a), float(b)), t**2 * covariance, kind),
        peak_gold=peak_gold,
        highest_kl=float(distance.max()),
        r_squared=1 - missed / total if total else math.nan,
    )


def _finite(name: str, values: Listed) -> Float[np.ndarray, " n"]:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError(
            f"{name}: a list of finite numbers was expected, not shape {found.shape} or NaN; drop what failed"
        )
    return found


def _columns(kl: Float[np.ndarray, " n"], kind: Kind) -> Float[np.ndarray, "n 2"]:
    """What a and b are multiplied by."""
    d = np.sqrt(kl)
    turn = d**2 if kind == "bon" else d * np.log(np.where(d > 0, d, 1.0))
    return np.stack([d, -turn], axis=-1)


def _squared(ratio: float, kind: Kind) -> float:
    """The peak's KL from a / b: d is a / 2b for best-of-n and exp(a / b - 1) for reinforcement learning."""
    if kind == "bon":
        return max(ratio / 2, 0.0) ** 2
    return math.exp(2 * (ratio - 1)) if ratio < 300 else math.inf


def _peak(a: float, b: float, kind: Kind) -> tuple[float, float] | tuple[None, None]:
    if b <= 0 or math.isinf(kl := _squared(a / b, kind)):
        return None, None
    d = math.sqrt(kl)
    return kl, (d * (a - b * d) if kind == "bon" else b * d)


def _peak_interval(peak: float, fitted: tuple[float, float], spread: Float[np.ndarray, "2 2"], kind: Kind) -> Interval:
    """Fieller's interval of a / b, carried over; spread: the covariance times t squared."""
    if np.isnan(spread).any():
        return Interval(peak, math.nan, math.nan)
    a, b = fitted
    square, cross, constant = b**2 - spread[1, 1], a * b - spread[0, 1], a**2 - spread[0, 0]
    discriminant = cross**2 - square * constant
    if square > 0:
        root = math.sqrt(max(discriminant, 0.0))
        return Interval(peak, _squared((cross - root) / square, kind), _squared((cross + root) / square, kind))
    # b may be 0: any large ratio is possible; the small ones end at the larger root, where there is one
    low = (cross - math.sqrt(discriminant)) / square if discriminant > 0 and square < 0 else -math.inf
    return Interval(peak, min(_squared(low, kind), peak), math.inf)
