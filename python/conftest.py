"""Which examples of the package run: not those of an adapter whose library is missing here."""

from importlib.util import find_spec

LIBRARIES = {
    "ada_verona": "_toolboxes/_verona.py",
    "inspect_ai": "_inspect.py",
    "lightning": "_lightning.py",
    "mlflow": "_mlflow.py",
    "ray": "_ray/driver.py",
}
"""Libraries that not every environment of the tests has, and the adapter of each."""

collect_ignore = [
    f"smoothbound/harness/{file}"
    for library, file in LIBRARIES.items()
    if find_spec(library) is None
]
