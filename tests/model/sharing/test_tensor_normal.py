import functools
import itertools

import pytest
import torch

from saliency.model.sharing.tensor_normal import flip_flop, penalty, to_correlations


def draw(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def some_covariance(size, seed=0):
    """Return a well-conditioned covariance with a mean diagonal of 1."""
    root = draw(size, size + 3, seed=seed)
    covariance = root @ root.T + 0.3 * torch.eye(size, dtype=torch.float64)
    return covariance / covariance.diagonal().mean()


@pytest.fixture
def planted():
    return [some_covariance(size, seed=size) for size in (3, 4, 2)]


def sample(count, covariances):
    """Return (count, D_1, ..., D_K) drawn from the tensor-normal distribution."""
    w = draw(count, *(len(c) for c in covariances), seed=7)
    factors = [torch.linalg.cholesky(c) for c in covariances]
    return torch.einsum("nabc,ia,jb,kc->nijk", w, *factors)


def dense(covariances):
    return functools.reduce(torch.kron, covariances)


def log_likelihood(w, covariances):
    """Return it by the dense covariance, with the common scale at its best."""
    rows = w.reshape(-1, dense(covariances).shape[0])
    precision = torch.linalg.inv(dense(covariances))
    scale = torch.einsum("ni,ij,nj->", rows, precision, rows) / rows.numel()
    zero = torch.zeros(rows.shape[1], dtype=rows.dtype)
    normal = torch.distributions.MultivariateNormal(zero, scale * dense(covariances))
    return normal.log_prob(rows).sum()


def identities(*sizes, dtype=torch.float64):
    return [torch.eye(size, dtype=dtype) for size in sizes]


class TestPenalty:
    def test_it_equals_the_dense_form(self, planted):
        w = draw(3, 4, 2)
        vec = w.flatten()
        expected = vec @ torch.linalg.inv(dense(planted)) @ vec / 2
        assert torch.allclose(penalty(w, planted), expected, rtol=1e-12)

    def test_it_differs_from_the_negative_logarithm_of_the_density_by_a_constant(self, planted):
        normal = torch.distributions.MultivariateNormal(
            torch.zeros(24, dtype=torch.float64), dense(planted)
        )
        one, other = draw(3, 4, 2, seed=1), draw(3, 4, 2, seed=2)
        difference = penalty(one, planted) - penalty(other, planted)
        expected = normal.log_prob(other.flatten()) - normal.log_prob(one.flatten())
        assert torch.allclose(difference, expected, rtol=1e-10)

    def test_samples_add_up(self, planted):
        w = draw(5, 3, 4, 2)
        assert torch.allclose(penalty(w, planted), sum(penalty(one, planted) for one in w))

    def test_its_gradient_is_right(self, planted):
        w = draw(3, 4, 2).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: penalty(x, planted), (w,))

    def test_with_identities_it_is_weight_decay(self):
        w = draw(3, 4, 2)
        assert torch.allclose(penalty(w, identities(3, 4, 2)), w.square().sum() / 2)


class TestFlipFlop:
    def test_planted_covariances_are_found_from_many_samples(self, planted):
        w = sample(20_000, planted)
        found = identities(3, 4, 2)
        for _ in range(10):
            found = flip_flop(w, found, 0.0)
        for covariance, expected in zip(found, planted, strict=True):
            assert torch.allclose(covariance, expected, atol=0.03)

    def test_the_end_of_the_sweeps_is_a_fixed_point(self, planted):
        w = sample(50, planted)
        found = identities(3, 4, 2)
        for _ in range(60):
            found = flip_flop(w, found, 0.0)
        for once_more, covariance in zip(flip_flop(w, found, 0.0), found, strict=True):
            assert torch.allclose(once_more, covariance, atol=1e-9)

    def test_every_sweep_raises_the_likelihood(self, planted):
        w = sample(6, planted)
        found = identities(3, 4, 2)
        seen = [log_likelihood(w, found)]
        for _ in range(6):
            found = flip_flop(w, found, 0.0)
            seen.append(log_likelihood(w, found))
        assert all(after > before for before, after in itertools.pairwise(seen))

    def test_tasks_with_equal_weights_are_found_to_be_alike(self):
        w = draw(8, 8, 3)
        w[..., 1] = w[..., 0] + 0.1 * w[..., 1]
        *_, tasks = flip_flop(w, identities(8, 8, 3), 0.0)
        correlations = to_correlations(tasks)
        assert correlations[0, 1] > 0.9
        assert correlations[0, 2].abs() < 0.4

    def test_each_covariance_has_a_mean_diagonal_of_one(self):
        for covariance in flip_flop(1e3 * draw(3, 4, 2), identities(3, 4, 2), 0.1):
            assert covariance.diagonal().mean() == pytest.approx(1)

    @pytest.mark.parametrize(
        "w",
        [
            torch.zeros(24, 24, 3),
            1e-44 * torch.ones(24, 24, 3),
            1e30 * draw(24, 24, 3, dtype=torch.float32),
            1e30 * torch.ones(24, 24, 3),
            torch.einsum(
                "a,b,c->abc", *(draw(n, dtype=torch.float32, seed=n) for n in (24, 24, 3))
            ),
            draw(24, 24, 3, dtype=torch.float32) * torch.tensor([1.0, 0.0, 1e-20]),
        ],
        ids=["zero", "subnormal", "huge", "huge rank one", "rank one", "a task of zeros"],
    )
    def test_whatever_the_weights_are_it_stays_finite_in_float32(self, w):
        found = identities(24, 24, 3, dtype=torch.float32)
        for _ in range(20):
            found = flip_flop(w, found, 0.05)
        for covariance in found:
            assert torch.linalg.eigvalsh(covariance)[0] > 0.04
            assert covariance.diagonal().mean() == pytest.approx(1, abs=1e-4)
        moderate = (w / w.abs().max().clamp(min=1e-30)).requires_grad_()
        value = penalty(moderate, found)
        value.backward()
        assert value.isfinite()
        assert moderate.grad.isfinite().all()

    def test_weights_of_zero_say_nothing(self):
        for covariance in flip_flop(torch.zeros(3, 4, 2), identities(3, 4, 2), 0.05):
            assert torch.equal(covariance, torch.eye(len(covariance), dtype=covariance.dtype))

    def test_the_scale_of_the_weights_does_not_matter(self):
        w = draw(6, 5, 3, dtype=torch.float32)
        start = identities(6, 5, 3, dtype=torch.float32)
        small, large = flip_flop(1e-20 * w, start, 0.05), flip_flop(1e20 * w, start, 0.05)
        for one, other in zip(small, large, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


def test_correlations_have_a_diagonal_of_one():
    covariance = torch.tensor([[4.0, 3.0], [3.0, 9.0]])
    assert torch.allclose(to_correlations(covariance), torch.tensor([[1.0, 0.5], [0.5, 1.0]]))
