import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from saliency.experiments.coregionalised_gp import (
    CoregionalisedGP,
    _negative_log_likelihood,
    kernel,
)

OUTPUTS = np.array([[1.0, 0.8, -0.4], [0.8, 1.2, 0.0], [-0.4, 0.0, 0.7]])
NOISE, SCALE = 0.1, 0.7


def draw(rows, spread=1.0, seed=0):
    """Return rows in two dimensions and targets of a process with known parameters."""
    random = np.random.default_rng(seed)
    x = spread * random.normal(size=(rows, 2))
    root = np.linalg.cholesky(kernel(x, x, SCALE) + 1e-9 * np.eye(rows))
    smooth = root @ random.normal(size=(rows, 3)) @ np.linalg.cholesky(OUTPUTS).T
    return x, smooth + np.sqrt(NOISE) * random.normal(size=(rows, 3))


@pytest.fixture
def seen():
    return draw(30)


def dense(x, other):
    return np.kron(kernel(x, other, SCALE), OUTPUTS)


def test_predictions_equal_the_dense_form(seen):
    x, y = seen
    new, _ = draw(5, seed=1)
    covariance = dense(x, x) + NOISE * np.eye(90)
    across = dense(new, x)
    mean = (across @ np.linalg.solve(covariance, y.ravel())).reshape(5, 3)
    variance = np.diag(dense(new, new) - across @ np.linalg.solve(covariance, across.T)) + NOISE
    found_mean, found_std = CoregionalisedGP.given(x, y, SCALE, OUTPUTS, NOISE).predict(new)
    assert np.allclose(found_mean, mean, atol=1e-8)
    assert np.allclose(found_std, np.sqrt(variance).reshape(5, 3), atol=1e-8)


def test_the_likelihood_equals_the_dense_form(seen):
    x, y = seen
    values, vectors = np.linalg.eigh(kernel(x, x, SCALE))
    found = _negative_log_likelihood(values, vectors.T @ y, OUTPUTS, NOISE)
    normal = multivariate_normal(np.zeros(90), dense(x, x) + NOISE * np.eye(90))
    assert found == pytest.approx(-normal.logpdf(y.ravel()))


def test_one_output_equals_scikit_learn(seen):
    x, y = seen[0], seen[1][:, :1]
    new, _ = draw(20, seed=1)
    fixed = ConstantKernel(1.3, "fixed") * RBF(SCALE * np.sqrt(x.shape[1]), "fixed")
    reference = GaussianProcessRegressor(fixed, alpha=NOISE).fit(x, y[:, 0])
    mean, std = reference.predict(new, return_std=True)
    process = CoregionalisedGP.given(x, y, SCALE, np.array([[1.3]]), NOISE)
    found_mean, found_std = process.predict(new)
    assert np.allclose(found_mean[:, 0], mean)
    assert np.allclose(found_std[:, 0] ** 2 - NOISE, std**2)


def test_planted_coregionalisation_is_recovered():
    # Spread out, so that one draw shows it at many places far from each other.
    fitted = CoregionalisedGP.fit(*draw(400, spread=3.0))
    deviations = np.sqrt(np.diag(fitted.outputs))
    planted = OUTPUTS / np.sqrt(np.outer(np.diag(OUTPUTS), np.diag(OUTPUTS)))
    assert np.allclose(fitted.outputs / np.outer(deviations, deviations), planted, atol=0.2)
    assert fitted.noise == pytest.approx(NOISE, rel=0.3)
    assert fitted.length_scale == pytest.approx(SCALE, rel=0.3)


def test_the_fit_is_likelier_than_the_truth():
    x, y = draw(100)
    fitted = CoregionalisedGP.fit(x, y)

    def likelihood(scale, outputs, noise):
        values, vectors = np.linalg.eigh(kernel(x, x, scale))
        return -_negative_log_likelihood(values, vectors.T @ y, outputs, noise)

    best = likelihood(fitted.length_scale, fitted.outputs, fitted.noise)
    assert best > likelihood(SCALE, OUTPUTS, NOISE)


def test_independent_outputs_have_a_diagonal_covariance(seen):
    fitted = CoregionalisedGP.fit(*seen, correlated=False)
    assert np.array_equal(fitted.outputs, np.diag(np.diag(fitted.outputs)))
    assert (np.diag(fitted.outputs) > 0).all()


def test_far_from_the_data_it_is_less_sure_and_says_the_mean(seen):
    process = CoregionalisedGP.given(*seen, SCALE, OUTPUTS, NOISE)
    _, near = process.predict(seen[0])
    mean, far = process.predict(np.full((1, 2), 100.0))
    assert (far > near).all()
    assert np.allclose(mean, 0)
    assert np.allclose(far, np.sqrt(np.diag(OUTPUTS) + NOISE))
