"""A smoothed classifier that follows the conventions of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from smoothbound._utils import checks
from smoothbound.adapters._sklearn import sklearn
from smoothbound.harness._toolboxes._row_keys import row_keys
from smoothbound.measures import Measure
from smoothbound.noise._kinds import Kind
from smoothbound.smoothing._certificate import SmoothedCertificate
from smoothbound.smoothing._class_radius import majority_class, require_enough_votes
from smoothbound.smoothing._classifier import SmoothedClassifier

__all__ = ["SmoothedEstimator"]


class SmoothedEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of scikit-learn, smoothed with Gaussian noise.

    The smoothed classifier returns the class that the base classifier returns most often for noisy
    copies of a row. The noise of a row depends only on its content and the seed. The results
    therefore do not depend on the order of the rows or on other rows, and equal rows get equal
    results.

    Parameters
    ----------
    estimator : classifier with ``fit`` and ``predict_proba``
        The base classifier. `fit` fits a clone of it. Wrap a classifier that is already fitted in
        ``sklearn.frozen.FrozenEstimator``, so that it is not fitted again.
    sigma : float, default 0.1
        Standard deviation of the noise, > 0, in the units of X.
    n : int, default 1000
        Number of noisy copies of each row in `predict` and `predict_proba`.
    alpha : float, default 0.001
        Largest probability, for each row, that `predict` returns another class than the smoothed
        classifier, and that a certificate of `certify` is wrong.
    copies : int, default 4
        Number of noisy copies of X on which `fit` trains; with 0 it trains on X itself. A
        classifier that was trained on noise has much larger certified radii.
    abstain : object, optional
        The value that `predict` returns for a row whose votes do not decide the class. The default
        is -1, which must then not be a class. It may be a class, such as the one that is safe to
        assume.
    measure : {"score", "margin", "vote"} or Measure, default "vote"
        The confidence that `certify` bounds; see `smoothbound.measures`. `predict_proba` estimates
        the vote.
    grid, noise, seed
        As for `SmoothedClassifier.certify`.

    Attributes
    ----------
    estimator_ : classifier
        The fitted base classifier.
    classes_ : ndarray, shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Names of the columns, if X had them in `fit`.

    Notes
    -----
    A certificate holds for a row that was chosen without knowledge of the noise. Rows that are
    searched for favourable noise with knowledge of the seed get false certificates.

    ``sample_weight`` and other arguments of the fit of the base classifier are not passed on.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> smoothed = SmoothedEstimator(LogisticRegression(C=10.0), sigma=0.5)
    >>> rows = np.array([[-2.0], [-1.5], [1.5], [2.0]])
    >>> smoothed.fit(rows, ["no", "no", "yes", "yes"]).predict([[-2.0], [0.0], [2.0]]).tolist()
    ['no', -1, 'yes']
    >>> bool(smoothed.certify([[2.0]], radii=[0.5], thresholds=[0.5]).radius[0, 0] > 0.5)
    True
    """

    def __init__(
        self,
        estimator: Any,
        sigma: float = 0.1,
        *,
        n: int = 1_000,
        alpha: float = 1e-3,
        copies: int = 4,
        abstain: Any = None,
        measure: str | Measure = "vote",
        grid: int | None = None,
        noise: Kind | None = None,
        seed: int = 0,
    ) -> None:
        self.estimator = estimator
        self.sigma = sigma
        self.n = n
        self.alpha = alpha
        self.copies = copies
        self.abstain = abstain
        self.measure = measure
        self.grid = grid
        self.noise = noise
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> SmoothedEstimator:
        """Fit a clone of the base classifier on noisy copies of the rows.

        Parameters
        ----------
        X : array-like of float, shape (n_rows, n_features)
        y : array-like, shape (n_rows,)
            Classes.

        Returns
        -------
        SmoothedEstimator
            This object.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range, the base classifier has no
            ``predict_proba`` or smooths already, or -1 is a class and `abstain` is not stated.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        sigma = checks.positive("sigma", self.sigma)
        copies = checks.count("copies", self.copies, 0)
        self._abstention()  # refuses several values
        if self.abstain is None and (np.unique(y) == -1).any():
            raise ValueError(
                "abstain must be stated if -1 is a class: another value than the classes, such as "
                "0, or the class to assume where the classifier abstains"
            )
        if copies:
            rng = np.random.default_rng(checks.count("seed", self.seed, 0))
            X, y = np.repeat(X, copies, axis=0), np.repeat(y, copies)
            X += rng.normal(0.0, sigma, X.shape)
        self.estimator_ = clone(self.estimator).fit(X, y)
        sklearn(self.estimator_)  # refuses one without predict_proba
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class that wins the vote of the noisy copies of each row, or `abstain`.

        Parameters
        ----------
        X : array-like of float, shape (n_rows, n_features)

        Returns
        -------
        ndarray, shape (n_rows,)
            The classes, in their type, or as objects if that type cannot hold `abstain`.
        """
        require_enough_votes(self.n, checks.alpha("alpha", self.alpha))
        votes = self._votes(X)
        abstain, labels = self._abstention(), self.classes_
        kinds = {labels.dtype.kind, abstain.dtype.kind}
        if not (kinds <= set("iuf") or len(kinds) == 1):
            labels, abstain = labels.astype(object), abstain.astype(object)
        choices = np.append(labels, abstain)  # a class of -1 takes the last
        found: NDArray[Any] = choices[[majority_class(row, self.alpha) for row in votes]]
        return found

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of rows with the right class; abstention counts as a wrong class.

        Unlike the scorers of scikit-learn, it allows different types of classes and `abstain`.

        Parameters
        ----------
        X : array-like of float, shape (n_rows, n_features)
        y : array-like, shape (n_rows,)
            The true classes.
        sample_weight : array-like of float, shape (n_rows,), optional

        Returns
        -------
        float
        """
        checks.alpha("alpha", self.alpha)
        predicted, true = self.predict(X), column_or_1d(y)
        check_consistent_length(predicted, true)
        right = [a == b for a, b in zip(predicted.tolist(), true.tolist(), strict=True)]
        return float(accuracy_score([True] * len(right), right, sample_weight=sample_weight))

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the share of the noisy copies of each row that get each class.

        Parameters
        ----------
        X : array-like of float, shape (n_rows, n_features)

        Returns
        -------
        ndarray of float64, shape (n_rows, n_classes)
            Estimated probabilities, which `certify` bounds.
        """
        votes = self._votes(X)
        shares: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return shares

    def certify(self, X: ArrayLike, **options: Any) -> SmoothedCertificate:
        """Certify the confidence in the class of each row.

        Parameters
        ----------
        X : array-like of float, shape (n_rows, n_features)
        **options
            Options of `SmoothedClassifier.certify`, such as ``radii``, ``thresholds`` and ``n``.

        Returns
        -------
        SmoothedCertificate
            The certificate. Its classes are positions in `classes_`.
        """
        rows = self._rows(X)
        own = {"alpha": self.alpha, "seed": self.seed, "grid": self.grid, "noise": self.noise}
        checks.alpha("alpha", (own | options)["alpha"])
        return self._smoothed().certify(rows, index=row_keys(rows), **(own | options))

    def _abstention(self) -> NDArray[Any]:
        """Return the value of `predict` for abstention, as an array without dimensions."""
        found = np.asarray(-1 if self.abstain is None else self.abstain)
        if found.ndim:
            raise ValueError(f"abstain must be one value, got {checks.shown(self.abstain)}")
        return found

    def _smoothed(self) -> SmoothedClassifier:
        return SmoothedClassifier(sklearn(self.estimator_), self.sigma, measure=self.measure)

    def _rows(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        rows: NDArray[np.float64] = validate_data(self, X, dtype=np.float64, reset=False)
        return rows

    def _votes(self, X: ArrayLike) -> NDArray[np.int64]:
        """Return the votes of each row for each of `classes_`."""
        rows = self._rows(X)
        found = self._smoothed().votes(
            rows, n=self.n, seed=self.seed, noise=self.noise, grid=self.grid, index=row_keys(rows)
        )
        return np.pad(found, ((0, 0), (0, len(self.classes_) - found.shape[1])))
