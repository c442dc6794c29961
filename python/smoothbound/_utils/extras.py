"""Optional packages: the error of a failed import names the extra that installs the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXTRAS", "name_the_extra"]

EXTRAS = {
    "torch": "torch",
    "pyarrow": "store",
    "typer": "cli",
    "rich": "cli",
    "matplotlib": "report",
    "jinja2": "report",
    "PIL": "data",
    "sklearn": "sklearn",
    "pandas": "all",
    "safetensors": "safetensors",
    "onnxruntime": "onnx",
    "jax": "jax",
    "torchvision": "torchvision",
    "torchmetrics": "torchmetrics",
    "art": "art",
    "inspect_ai": "inspect",
    "ada_verona": "verona",
    "lightning": "lightning",
    "mlflow": "mlflow",
    "ray": "ray",
    "transformers": "transformers",
    "timm": "timm",
}
"""The extra that installs a package, by the name under which it is imported."""


@contextmanager
def name_the_extra() -> Iterator[None]:
    """Name the missing package and its extra in the error of an import in the `with` block.

    Raises
    ------
    ModuleNotFoundError
        Instead of the original one, if it is about a package in `EXTRAS`.

    Examples
    --------
    >>> with name_the_extra():
    ...     raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
    Traceback (most recent call last):
    ...
    ModuleNotFoundError: this part of smoothbound needs jinja2, which is not installed; \
pip install "smoothbound[report]" brings it
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS or "smoothbound[" in error.msg:
            raise
        raise ModuleNotFoundError(
            f"this part of smoothbound needs {package}, which is not installed; "
            f'pip install "smoothbound[{EXTRAS[package]}]" brings it',
            name=package,
        ) from error
