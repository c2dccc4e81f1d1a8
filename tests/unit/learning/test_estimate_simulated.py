"""The estimate on simulated learners: few of them here, many by `make proof`; docs/estimate.md tells more."""

from tests.benchmarks.estimate import always_right, clickers, growth, known


def test_the_level_is_found_and_seldom_overclaimed() -> None:
    ten, twenty, many = known(150, (10, 20, 160))
    assert ten.enough == 0, "ten answers are not enough for anyone"
    assert twenty.enough == many.enough == 1
    assert twenty.over < 0.07
    assert many.over < 0.04
    assert twenty.over_by_two == many.over_by_two == 0
    assert many.exact > 0.75
    assert many.rmse < 0.3 < twenty.rmse < 1.1
    assert many.covered > 0.8


def test_random_clicks_prove_nothing() -> None:
    assert clickers(40, 160, 4) == (0, 0)


def test_growth_is_followed_late_rather_than_early() -> None:
    grown = growth(25, step=30)
    assert grown.overclaimed() < 0.03
    assert -0.9 < grown.at(180)[0] < -0.3, "behind while growing"
    assert -0.5 < grown.at(240)[0] < 0, "closer once there"
    assert grown.claiming(240, 2) > 0.7


def test_who_is_always_right_is_not_silenced() -> None:
    """Nobody has shown where such a learner's limits are, so the estimate stays wide; the level is proven."""
    found = always_right("B1", 20)
    assert found.sd > 0.7
    assert found.proven == "B1"
