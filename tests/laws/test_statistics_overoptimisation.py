"""Over-optimisation: the estimator against all subsets, the fit against curves whose peak is known."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import integrate, optimize

from assent.statistics.overoptimisation import Kind, best_of_n, best_of_n_kl, fit

KLS = np.linspace(0.5, 60, 40)


def curve(kind: Kind, a: float, b: float, kl: np.ndarray) -> np.ndarray:
    d = np.sqrt(kl)
    return d * (a - b * d) if kind == "bon" else d * (a - b * np.log(d))


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_kl_of_best_of_n_is_the_integral(n: int) -> None:
    """The best of n uniform numbers has density n u^(n-1); its KL to the uniform is the integral of f ln f."""

    def integrand(u: float) -> float:
        density = n * u ** (n - 1)
        return density * math.log(density) if density > 0 else 0.0

    value, _ = integrate.quad(integrand, 0, 1)
    assert best_of_n_kl(n) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("proxy", [[0.3, -1.0, 2.0, 0.9, 0.1, 5.0, -2.0], [1.0, 0.0, 1.0, 1.0, 0.0, 2.0, 2.0]])
def test_best_of_n_is_the_mean_over_all_subsets(proxy: list[float]) -> None:
    """A slow loop over the subsets; of equal proxy scores each is taken equally often."""
    gold = np.random.default_rng(0).normal(size=7)
    for n in range(1, 8):
        found: list[float] = []
        for subset in combinations(range(7), n):
            best = max(proxy[i] for i in subset)
            found.append(float(np.mean([gold[i] for i in subset if proxy[i] == best])))
        assert best_of_n(proxy, gold, n) == pytest.approx(np.mean(found))


def test_best_of_n_of_many_stays_a_mean() -> None:
    """Weights add up to one where binomials overflow: C(4000, 2000) has 1200 digits."""
    proxy = np.random.default_rng(1).normal(size=4000)
    assert best_of_n(proxy, np.full(4000, 3.0), 2000) == pytest.approx(3.0)
    assert best_of_n(proxy, proxy, 4000) == proxy.max()
    assert best_of_n(proxy, proxy, 1) == pytest.approx(proxy.mean())


@pytest.mark.parametrize("n", [0, 4])
def test_best_of_n_needs_n_responses(n: int) -> None:
    with pytest.raises(ValueError, match="1 <= n <= N"):
        best_of_n([1, 2, 3], [1, 2, 3], n)


@pytest.mark.parametrize(("kind", "a", "b"), [("bon", 0.8, 0.07), ("rl", 1.1, 0.45)])
def test_exact_curves_are_found_and_peak_where_they_peak(kind: Kind, a: float, b: float) -> None:
    found = fit(KLS, curve(kind, a, b, KLS), kind)
    assert (found.a, found.b, found.r_squared) == pytest.approx((a, b, 1.0))
    highest = optimize.minimize_scalar(lambda kl: -curve(kind, a, b, np.array(kl)), bounds=(0.1, 200), method="bounded")
    assert found.peak_kl == pytest.approx(highest.x, rel=1e-4)
    assert found.peak_gold == pytest.approx(-highest.fun)
    assert found.gold(KLS) == pytest.approx(curve(kind, a, b, KLS))
    assert found.gold([0.0]) == [0.0]


@pytest.mark.parametrize(("kind", "a", "b"), [("bon", 0.8, 0.07), ("rl", 1.1, 0.45)])
def test_intervals_of_noisy_curves_cover_the_truth(kind: Kind, a: float, b: float) -> None:
    generator, covered = np.random.default_rng(2), np.zeros(3)
    peak = fit(KLS, curve(kind, a, b, KLS), kind).peak_kl
    assert peak is not None
    for _ in range(400):
        found = fit(KLS, curve(kind, a, b, KLS) + generator.normal(0, 0.3, size=40), kind)
        assert found.peak_kl_interval is not None
        for place, (interval, truth) in enumerate(
            [(found.a_interval, a), (found.b_interval, b), (found.peak_kl_interval, peak)]
        ):
            covered[place] += interval.low <= truth <= interval.high
    assert (covered / 400 >= 0.92).all()
    assert (covered / 400 <= 0.98).all()


def test_a_curve_that_does_not_turn_has_no_peak() -> None:
    found = fit(KLS, curve("rl", 0.2, -0.3, KLS), "rl")
    assert (found.peak_kl, found.peak_gold, found.extrapolated) == (None, None, True)
    falling = fit(KLS, curve("bon", -0.2, 0.1, KLS), "bon")
    assert (falling.peak_kl, falling.peak_gold) == (0.0, 0.0)  # best not to begin


def test_noise_that_hides_the_turn_leaves_the_peak_open() -> None:
    rising = np.linspace(0.1, 2, 12)
    found = fit(rising, curve("bon", 1.0, 0.02, rising) + 0.05 * (-1) ** np.arange(12), "bon")
    assert found.peak_kl is not None
    assert found.peak_kl_interval is not None
    assert found.peak_kl_interval.high == math.inf
    assert found.extrapolated


def test_two_points_make_a_curve_without_intervals() -> None:
    found = fit([1.0, 9.0, 0.0], curve("bon", 0.5, 0.1, np.array([1.0, 9.0, 0.0])), "bon")
    assert (found.a, found.b) == pytest.approx((0.5, 0.1))
    assert math.isnan(found.a_interval.low)
    assert found.peak_kl_interval is not None
    assert math.isnan(found.peak_kl_interval.high)


def test_fit_refuses_what_is_no_curve() -> None:
    with pytest.raises(ValueError, match="two different KLs"):
        fit([4.0, 4.0, 0.0], [1, 2, 0], "rl")
    with pytest.raises(ValueError, match="not negative"):
        fit([4.0, -0.01], [1, 2], "rl")
    with pytest.raises(ValueError, match="gold: a list of finite"):
        fit([4.0, 5.0], [1, math.nan], "rl")
    with pytest.raises(ValueError, match="2 KLs and 3"):
        fit([4.0, 5.0], [1, 2, 3], "bon")
