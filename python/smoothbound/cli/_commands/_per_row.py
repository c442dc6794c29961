"""Options with a number for each row of a table: --sigma and --constant-within."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._files.checksum import digest
from smoothbound._files.plain import read_plain
from smoothbound._utils import checks
from smoothbound.errors import StoreError

if TYPE_CHECKING:
    from smoothbound.backends._names import Backend
    from smoothbound.bounds._certificate import Certificate
    from smoothbound.bounds._request import Request
    from smoothbound.curves._curve import Curve
    from smoothbound.scores._score_file import Scores

__all__ = ["PerRow", "least_and_largest", "one_or_each"]

_KINDS = (".npy", ".txt", ".csv")


def one_or_each(option: str, text: str | None) -> Any:
    """Return the number of an option, or an array of numbers from its text or from a file.

    None stays None.

    Parameters
    ----------
    option : str
        The name of the option, such as --sigma.
    text : str
        A number, numbers separated by commas or blanks, or the name of a .npy, .txt or .csv file
        with such numbers, on one line or several. The first word of a text file may be the name of
        the option, such as ``sigma``.

    Raises
    ------
    ValueError
        If the text is none of these.
    StoreError
        If the file cannot be read, or does not hold numbers.

    Examples
    --------
    >>> one_or_each("--sigma", "0.25"), one_or_each("--sigma", "0.25,0.5")
    (0.25, array([0.25, 0.5 ]))
    """
    if text is None:
        return None
    suffix = Path(text).suffix.lower()
    if suffix in _KINDS:
        return _of_file(option, Path(text), suffix)
    found = _numbers(text)
    if found is None:
        raise ValueError(
            f"{option} must be a number, numbers separated by commas, one for each row, or a file "
            f"of them ({', '.join(_KINDS)}); got {text!r}"
        )
    return found if found.size > 1 else float(found[0])


def least_and_largest(curve: Curve, sigma: Any) -> tuple[float, float]:
    """Return the least noise level, which a request has, and the largest.

    Raises
    ------
    TypeError, ValueError
        If a level is not positive, or the curve has no scale.
    """
    from smoothbound.bounds._request import sigma_of

    each = checks.levels("sigma", sigma, np.size(sigma))
    least = sigma_of(curve, sigma if each is None else each.min())
    return least, least if each is None else float(each.max())


def _of_file(option: str, path: Path, suffix: str) -> NDArray[Any]:
    data = read_plain(path)
    name = option.removeprefix("--").replace("-", "_")
    found: NDArray[Any] | None
    try:
        if suffix == ".npy":
            found = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            text = data.decode("utf-8-sig")  # spreadsheets write a byte-order mark first
            words = text.split(None, 1)
            found = _numbers(words[1] if words[1:] and words[0] == name else text)
    except Exception as error:  # for damaged files NumPy raises more types than it documents
        raise StoreError(f"{path} cannot be read: {error}") from error
    if found is None:
        raise StoreError(
            f"{path} must hold numbers separated by commas, blanks or lines for {option}, one for "
            "each row of the scores"
        )
    return found


def _numbers(text: str) -> NDArray[np.float64] | None:
    try:
        found = np.array([float(word) for word in text.replace(",", " ").split()])
    except ValueError:
        return None
    return found if found.size else None


@dataclass(frozen=True)
class PerRow:
    """The numbers of all rows of a table of scores.

    Attributes
    ----------
    sigma : ndarray of float64, shape (n_inputs,), or None
        Noise levels; None if all rows have the noise level of the request.
    constant_within : ndarray of float64, shape (n_inputs,), or None
        Radii around the inputs on which sigma is constant, if they were stated.
    """

    sigma: NDArray[np.float64] | None
    constant_within: NDArray[np.float64] | None

    @classmethod
    def of(cls, sigma: Any, constant_within: Any, n_inputs: int) -> PerRow:
        """Check the values of the options against the number of rows.

        Raises
        ------
        TypeError, ValueError
            If there is neither a single number nor one for each row, or one is out of range.
        """
        reach = constant_within
        if reach is not None:
            reach = checks.distances("constant_within", reach, n_inputs)
        return cls(checks.levels("sigma", sigma, n_inputs), reach)

    @property
    def digests(self) -> dict[str, str]:
        """Digests that identify the numbers; empty without numbers."""
        named = {"sigma": self.sigma, "constant_within": self.constant_within}
        return {
            f"digest of {name}": digest(values.tobytes()).hex()
            for name, values in named.items()
            if values is not None
        }

    def certifier(
        self, request: Request, backend: Backend, threads: int | None
    ) -> Callable[..., Certificate]:
        """Return a function that certifies rows from their scores and `first_row`."""
        return partial(self._certified, request, backend, threads)

    def _certified(
        self,
        request: Request,
        backend: Backend,
        threads: int | None,
        scores: Scores,
        *,
        first_row: int,
    ) -> Certificate:
        from smoothbound.bounds._certify import certify_each
        from smoothbound.bounds._per_input import within

        here = slice(first_row, first_row + len(scores))
        sigma = None if self.sigma is None else self.sigma[here]
        made = certify_each(
            scores, request, sigma, first_row=first_row, backend=backend, threads=threads
        )
        # All rows of a file have the same settings, even those with another least sigma.
        made = replace(made, settings=replace(made.settings, sigma=request.sigma))
        return made if self.constant_within is None else within(made, self.constant_within[here])
