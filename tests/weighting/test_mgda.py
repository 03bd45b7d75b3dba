"""The shortest convex combination of gradients, and where it leads."""

import pytest
import torch
from torchjd.aggregation import MGDAWeighting

from saliency.weighting import MgdaWeighting
from saliency.weighting.mgda import shortest_combination


def gram(vectors):
    matrix = torch.tensor(vectors, dtype=torch.double)
    return matrix @ matrix.T


def length(products, weights):
    return float((weights @ products @ weights).sqrt())


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1.0, 0.0], [0.0, 2.0]], [0.8, 0.2]),  # orthogonal: inverse squared lengths
        ([[1.0, 0.0], [-3.0, 0.0]], [0.75, 0.25]),  # opposed: they cancel
        ([[1.0, 0.0], [5.0, 1.0]], [1.0, 0.0]),  # the shorter one is the shortest of all
        ([[5.0, 1.0], [1.0, 0.0]], [0.0, 1.0]),
        ([[2.0, 1.0], [2.0, 1.0]], [0.5, 0.5]),  # equal: any
        ([[0.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),
    ],
)
def test_two_gradients_by_hand(vectors, expected):
    assert shortest_combination(gram(vectors)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_two_gradients_as_by_a_search(seed):
    products = gram(torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)).tolist())
    shares = torch.linspace(0, 1, 1001, dtype=torch.double)
    best = min(length(products, torch.stack([s, 1 - s])) for s in shares)
    assert length(products, shortest_combination(products)) == pytest.approx(best, abs=1e-3)


def test_one_gradient_is_itself():
    assert shortest_combination(gram([[3.0, 4.0]])).tolist() == [1]


def test_three_gradients_around_0_cancel():
    products = gram([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])  # 0 = 1/2, 1/4, 1/4 of them
    found = shortest_combination(products)
    assert found.tolist() == pytest.approx([0.5, 0.25, 0.25], abs=1e-4)


def test_a_third_gradient_that_does_not_help_has_no_weight():
    found = shortest_combination(gram([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]]))
    assert found.tolist() == pytest.approx([0.8, 0.2, 0.0], abs=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_three_gradients_as_by_a_search(seed):
    products = gram(torch.randn(3, 5, generator=torch.Generator().manual_seed(seed)).tolist())
    steps = [i / 100 for i in range(101)]
    best = min(
        length(products, torch.tensor([a, b, 1 - a - b], dtype=torch.double))
        for a in steps
        for b in steps
        if a + b <= 1
    )
    found = shortest_combination(products)
    assert length(products, found) <= best + 1e-3
    assert (found >= 0).all()
    assert found.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_torchjd(seed):
    products = gram(torch.randn(4, 6, generator=torch.Generator().manual_seed(seed)).tolist())
    theirs = MGDAWeighting(epsilon=1e-6, max_iters=5000)(products)
    assert shortest_combination(products).tolist() == pytest.approx(theirs.tolist(), abs=0.01)


def test_the_direction_improves_both_tasks(problem):
    found = problem.gradient(MgdaWeighting(2, "features", "none"))
    gradients = [torch.autograd.grad(loss, problem.x)[0] for loss in problem.losses()]
    assert all(float(found @ g) > 0 for g in gradients)


def test_descent_ends_between_the_centres(quadratics):
    problem = quadratics(centers=((1.0, 0.0), (3.0, 0.0)), factors=(1.0, 3.0))
    with torch.no_grad():
        problem.x.copy_(torch.tensor([1.5, 2.0]))
    weighting = MgdaWeighting(2, "features", "none")
    for _ in range(200):
        gradient = problem.gradient(weighting)
        with torch.no_grad():
            problem.x -= 0.1 * gradient
    assert problem.x[1].item() == pytest.approx(0, abs=1e-3)
    assert 1 < problem.x[0].item() < 3


def test_at_a_pareto_point_there_is_nowhere_to_go(quadratics):
    problem = quadratics(centers=((1.0, 0.0), (-2.0, 0.0)), factors=(1.0, 7.0))
    assert problem.gradient(MgdaWeighting(2, "features", "none")).tolist() == pytest.approx(
        [0, 0], abs=1e-6
    )


@pytest.mark.parametrize(
    ("normalization", "divisors"),
    [("none", (1, 1)), ("l2", (10, 0.5)), ("loss", (25, 0.25)), ("loss+", (250, 0.125))],
)
def test_gradients_may_be_normalised_first(problem, normalization, divisors):
    weighting = MgdaWeighting(2, "features", normalization)
    problem.gradient(weighting)
    vectors = [[-6 / divisors[0], -8 / divisors[0]], [0.0, 0.5 / divisors[1]]]
    expected = shortest_combination(gram(vectors)).tolist()
    assert weighting.current.tolist() == pytest.approx(expected)


def test_two_normalised_gradients_have_equal_weights(problem):
    weighting = MgdaWeighting(2, "features", "l2")
    problem.gradient(weighting)
    assert weighting.current.tolist() == pytest.approx([0.5, 0.5])


def test_a_lone_task_has_the_share_that_it_has_on_average(problem):
    weighting = MgdaWeighting(2, "features", "none")
    weighting(problem.losses(), [True, False], problem.shared)
    assert weighting.current[0].item() == 0.5


def test_three_tasks_of_which_two_are_present_have_two_thirds(quadratics):
    problem = quadratics(centers=((1.0, 0.0), (0.0, 2.0), (1.0, 1.0)), factors=(1.0, 1.0, 1.0))
    weighting = MgdaWeighting(3, "features", "none")
    weighting(problem.losses(), [True, True, False], problem.shared)
    assert weighting.current[:2].tolist() == pytest.approx([0.8 * 2 / 3, 0.2 * 2 / 3])
