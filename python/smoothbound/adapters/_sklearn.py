"""Fitted classifiers of scikit-learn, and of libraries that follow its conventions."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from smoothbound.adapters._base import BaseClassifier, as_tensor

__all__ = ["Estimator", "sklearn"]


class Estimator(Protocol):
    """A model that `sklearn` takes: a fitted classifier with scikit-learn's methods."""

    def predict_proba(self, X: Any, /) -> Any:
        """Return the probabilities of the classes, shape (batch, classes)."""


def sklearn(estimator: Estimator) -> BaseClassifier:
    """Adapt a fitted scikit-learn classifier, or that of another library with ``predict_proba``.

    Inputs of any shape are flattened to the rows that the classifier takes, the last axis fastest.
    Its outputs are probabilities, and column i is the class ``estimator.classes_[i]``.

    Parameters
    ----------
    estimator : object with predict_proba
        It is called on rows of the type of the inputs, float32 or float64. If it was fitted on a
        DataFrame, it is called on a DataFrame with the same column names.

    Returns
    -------
    BaseClassifier
        Its outputs are declared as probabilities.

    Raises
    ------
    TypeError
        If the estimator has no ``predict_proba``, or smooths already: it or a part of it has a
        method ``certify``.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> fitted = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> sklearn(fitted)(torch.zeros(1, 1)).tolist()
    [[0.5, 0.5]]
    """
    if (smoothed := _smoothed_part(estimator)) is not None:
        raise TypeError(
            f"model must be a base classifier, got {_called(estimator, smoothed)} with a method "
            "certify, which smooths already: use that method, or give its base classifier"
        )
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba: calibrate it "
            "(sklearn.calibration.CalibratedClassifierCV), or certify its other outputs with "
            "smoothbound.adapters.numpy(estimator.decision_function) and outputs='logits', or "
            "outputs='raw' and a custom measure"
        )
    names = getattr(estimator, "feature_names_in_", None)

    def call(batch: Tensor) -> Tensor:
        rows: Any = batch.reshape(len(batch), -1).numpy()
        if names is not None:
            import pandas as pd

            rows = pd.DataFrame(rows, columns=names)
        scores = estimator.predict_proba(rows)
        if isinstance(scores, list):
            raise TypeError(
                f"predict_proba returns {len(scores)} arrays, one for each label: certify one "
                "label with smoothbound.adapters.numpy(lambda x: estimator.predict_proba(x)[0])"
            )
        return as_tensor(scores)

    return BaseClassifier(
        type(estimator).__name__, call, torch.device("cpu"), None, outputs="probabilities"
    )


def _smoothed_part(estimator: Any) -> Any:
    """Return the estimator, or a part that it is made of, if it smooths already; None if none."""
    if hasattr(estimator, "certify"):
        return estimator
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        return None
    found = map(_smoothed_part, estimator.get_params().values())  # its parts, of any depth
    return next((part for part in found if part is not None), None)


def _called(estimator: Any, part: Any) -> str:
    name, inner = type(estimator).__name__, type(part).__name__
    return name if part is estimator else f"{name} of a {inner}"
