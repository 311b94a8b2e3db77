"""The estimator keeps scikit-learn's contract, and an image's weight is what it says."""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is an extra")
pytest.importorskip("numba", reason="the estimator's checks train, which takes minutes without Numba")

from sklearn.utils.estimator_checks import parametrize_with_checks

from plaingrad.sklearn import CNNClassifier

pytestmark = pytest.mark.filterwarnings("default")


@parametrize_with_checks([CNNClassifier(threads=1)])
def test_scikit_learns_own_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)
