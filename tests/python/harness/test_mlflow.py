"""Certified metrics in evaluations of MLflow, with a tracking store on the disk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
    warnings.simplefilter("ignore")
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    from mlflow.exceptions import MlflowException

from torchmetrics import MetricCollection  # noqa: E402
from two_classes import SIGMA, inputs, model  # noqa: E402

import smoothbound as sb  # noqa: E402
from smoothbound.harness import (  # noqa: E402
    CertifiedAccuracy,
    CertifiedConfidence,
    CertifiedRadius,
    mlflow_metrics,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow warns of its own code in many ways
PAGE = Path(__file__).parents[3] / "docs/howto/harness/mlflow.md"

X0 = (1.5, 0.6, 0.02, -0.8, -2.0)  # the third is abstained from
LABELS = np.array([0, 0, 0, 0, 1])  # the fourth is of class 1
INDEX = (3, 5, 7, 9, 11)


def metrics() -> dict[str, Any]:
    return {
        "certified_accuracy": CertifiedAccuracy(SIGMA, [0.0, 0.4]),
        "certified_confidence": CertifiedConfidence(SIGMA, 0.4),
        "certified_radius": CertifiedRadius(SIGMA, [0.5, 0.7]),
    }


@pytest.fixture(scope="module")
def cert() -> sb.SmoothedCertificate:
    smoothed = sb.SmoothedClassifier(model, SIGMA)
    return smoothed.certify(
        inputs(*X0), n=2000, radii=[0.0, 0.4], thresholds=[0.5, 0.7], index=INDEX
    )


@pytest.fixture(scope="module")
def frame(cert: sb.SmoothedCertificate) -> Any:
    return cert.to_pandas().assign(label=LABELS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Track in a database in a folder."""
    folder = tmp_path_factory.mktemp("tracking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        yield folder
        mlflow.set_tracking_uri(before)


def evaluated(frame: Any, made: list[Any]) -> dict[str, float]:
    found = mlflow.models.evaluate(
        data=frame, predictions="predicted", targets="label", extra_metrics=made
    )
    return dict(found.metrics)


def alone(cert: Any, labels: Any) -> dict[str, float]:
    """Return the numbers of the metrics without MLflow."""
    found: list[float] = []
    for metric in metrics().values():
        metric.update(cert, torch.from_numpy(labels))
        found += metric.compute().reshape(-1).tolist()
    return dict(
        zip(
            [
                "certified_accuracy_r0",
                "certified_accuracy_r0.4",
                "certified_confidence",
                "certified_radius_c0.5",
                "certified_radius_c0.7",
            ],
            found,
            strict=True,
        )
    )


def test_an_evaluation_is_tracked_with_its_report(
    cert: sb.SmoothedCertificate, frame: Any, store: Path
) -> None:
    cert.save("certificate.parquet")
    with mlflow.start_run() as run:
        found = evaluated(frame, mlflow_metrics(cert, metrics()))
        pages = sb.report.write_report(["certificate.parquet"], "report")
        mlflow.log_artifacts("report", "report")
        mlflow.log_artifact("certificate.parquet")
    wanted = alone(cert, LABELS)
    assert 0.3 < wanted["certified_accuracy_r0"] < 0.7
    assert {name: found[name] for name in wanted} == wanted
    client = mlflow.MlflowClient(f"sqlite:///{store}/mlflow.db")
    assert client.get_run(run.info.run_id).data.metrics == found
    kept = {one.path for one in client.list_artifacts(run.info.run_id, "report")}
    assert {f"report/{page.name}" for page in pages} <= kept
    back = sb.Certificate.load(
        client.download_artifacts(run.info.run_id, "certificate.parquet", str(store))
    )
    np.testing.assert_array_equal(back.lower, cert.lower)


def test_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    """In a process of its own, because the settings of MLflow are those of a process."""
    page = PAGE.read_text(encoding="utf-8")
    (tmp_path / "page.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])  # type: ignore[index]
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
        | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("{'certified_accuracy_r0': 0.75, ")
    assert (tmp_path / "mlflow.db").exists()


def test_rows_in_another_order_and_fewer_rows(
    cert: sb.SmoothedCertificate, frame: Any, store: Path
) -> None:
    rows = [4, 0, 3]
    found = evaluated(frame.iloc[rows], mlflow_metrics(cert, MetricCollection(metrics())))
    wanted = alone(cert[np.array(rows)], LABELS[rows])
    assert {name: found[name] for name in wanted} == wanted


def test_what_is_not_of_the_certificate_is_refused(
    cert: sb.SmoothedCertificate, frame: Any, store: Path
) -> None:
    made = mlflow_metrics(cert, {"accuracy": CertifiedAccuracy(SIGMA)})
    other = frame.assign(predicted=[0, 0, -1, 0, 0])
    for words, data in (
        ("predictions must be those of the certificate, 1 for the input 9, got 0", other),
        ("index must hold inputs of the certificate, got 4", frame.assign(index=[3, 4, 7, 9, 11])),
        ("index must hold each input once", frame.iloc[[0, 1, 1]]),
        ("index", frame.drop(columns="index")),
        ("targets must be", frame.assign(label=list("abcde"))),
    ):
        with pytest.raises((MlflowException, ValueError, TypeError), match=words):
            evaluated(data, made)


def test_a_certificate_with_an_index_twice_is_refused() -> None:
    smoothed = sb.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), SIGMA)
    two = smoothed.certify(torch.tensor([[0.9], [2.5]]), n=300, thresholds=[0.5], index=[3, 3])
    with pytest.raises(ValueError, match=r"index of its own for each input, .* got 3 for several"):
        mlflow_metrics(two, {"radius": CertifiedRadius(SIGMA)})


def test_metrics_of_other_settings_are_refused_by_name(cert: sb.SmoothedCertificate) -> None:
    for words, given in (
        ("the sigma 0.3 of this metric, got 0.5", {"a": CertifiedAccuracy(0.3)}),
        ("the alpha 0.01", {"a": CertifiedRadius(SIGMA, alpha=0.01)}),
        ("the measure 'vote'", {"a": CertifiedRadius(SIGMA, measure="vote")}),
        ("the radii 0.2, got 0, 0.4", {"a": CertifiedAccuracy(SIGMA, 0.2)}),
        ("metrics must be a mapping", [CertifiedAccuracy(SIGMA)]),
        ("got 3 as 'a'", {"a": 3}),
        (
            "metrics must have one sigma",
            {"a": CertifiedRadius(SIGMA), "b": CertifiedRadius(0.25)},
        ),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            mlflow_metrics(cert, given)
    with pytest.raises(TypeError, match="cert must be a SmoothedCertificate"):
        mlflow_metrics(None, metrics())
