"""The callback of Lightning, and metrics of torchmetrics that a LightningModule logs."""

from __future__ import annotations

import re
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("lightning")
    import in_lightning

from forks import run  # noqa: E402
from in_lightning import SIGMA, callback, images, metrics, trained, trainer  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchmetrics import MetricCollection  # noqa: E402

import smoothbound as sb  # noqa: E402
from smoothbound.errors import DataError, ModelError  # noqa: E402
from smoothbound.harness import CertifiedAccuracy, CertifiedRadius, CertifiedValidation  # noqa: E402

PAGE = Path(__file__).parents[3] / "docs/howto/harness/lightning.md"
NAMES = [
    "certified_accuracy_r0",
    "certified_accuracy_r0.25",
    "certified_confidence",
    "certified_radius",
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a network that was trained without the callback, and the random state afterwards."""
    network, _ = trained(tmp_path_factory.mktemp("plain"))
    return network, torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002


def same_bits(one: Any, other: Any) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def expected(network: Any, index: Any) -> dict[str, float]:
    """Return the metrics of a network by certificates that are made outside of Lightning."""
    dataset = images(40, 1)
    smoothed = sb.SmoothedClassifier(network, SIGMA, channels_last=False)
    cert = smoothed.certify(
        dataset.tensors[0][index],
        n0=20,
        n=300,
        index=index,
        radii=[0.0, 0.1, 0.25],
        thresholds=[0.5],
    )
    found = []
    for metric in metrics().values():
        metric.update(cert, dataset.tensors[1][index])
        found += metric.compute().reshape(-1).tolist()
    return dict(zip(NAMES, found, strict=True))


def logged(made: Any) -> dict[str, float]:
    return {name: float(made.callback_metrics[name]) for name in NAMES}


def test_the_callback_logs_the_metrics_of_the_certificates(tmp_path: Path) -> None:
    network, made = trained(tmp_path, callback())
    found = logged(made)
    assert found == expected(network, list(range(40)))
    assert 0.5 < found["certified_accuracy_r0.25"] <= found["certified_accuracy_r0"] <= 1.0
    assert 0.1 < found["certified_radius"] < 2.0


def test_the_training_is_the_same_bits_with_and_without(tmp_path: Path, plain: Any) -> None:
    before, torch_state, numpy_state = plain
    network, _ = trained(tmp_path, callback())
    assert same_bits(network, before)
    assert all(network.modes)
    assert len(network.modes) == 16
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002


def test_gradients_that_add_up_over_a_validation_stay(tmp_path: Path) -> None:
    options = {"accumulate_grad_batches": 5, "val_check_interval": 2}
    network, _ = trained(tmp_path, callback(index=range(9)), **options)
    before, _ = trained(tmp_path, **options)
    assert same_bits(network, before)


class Disturbing(Dataset):
    """Images whose reading takes random numbers."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> Any:
        np.random.normal()  # noqa: NPY002
        torch.rand(1)
        image, label = images(40, 1)[i]
        return image.numpy(), int(label)


def test_a_data_set_that_takes_random_numbers_changes_nothing(tmp_path: Path, plain: Any) -> None:
    made = CertifiedValidation(Disturbing(), metrics(), n0=20, n=300)
    network, told = trained(tmp_path, made)
    assert same_bits(network, plain[0])
    assert logged(told) == expected(network, list(range(40)))


def test_images_are_spread_over_the_data_set() -> None:
    assert CertifiedValidation(images(640), metrics()).index.tolist() == list(range(0, 640, 10))
    assert CertifiedValidation(images(5), metrics()).index.tolist() == [0, 1, 2, 3, 4]
    assert callback(index=[3, 7]).index.tolist() == [3, 7]


def test_each_epoch_is_logged_and_validate_logs_too(tmp_path: Path) -> None:
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    best = ModelCheckpoint(tmp_path, monitor="certified_radius", mode="max")
    logger = CSVLogger(tmp_path, name="log")
    options = {"logger": logger, "enable_checkpointing": True}
    network, made = trained(tmp_path, callback(), best, **options)
    lines = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    assert set(NAMES) <= set(lines[0].split(","))
    assert len(lines) == 3
    assert best.best_model_score == max(
        float(line.split(",")[lines[0].split(",").index("certified_radius")]) for line in lines[1:]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = trainer(tmp_path, callback())
        alone.validate(network, DataLoader(images(40, 1), batch_size=8), verbose=False)
    assert logged(alone) == logged(made)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def two_ranks(function: Any, folder: Path, told: Any) -> list[Any]:
    port = free_port()
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda rank: run(function, rank, port, str(folder), told), range(2)))


def test_two_ranks_certify_their_slices_and_log_the_whole(tmp_path: Path) -> None:
    """Thirteen images: seven on the first rank, and six on the second."""
    done = two_ranks(in_lightning.on_two_ranks, tmp_path, True)
    for one in done:
        assert one.returncode == 0, one.stderr
    two_ranks(in_lightning.on_two_ranks, tmp_path, False)
    networks = []
    for rank in range(2):
        certified, plain = (torch.load(tmp_path / f"{rank}-{each}.pt") for each in (True, False))
        assert all(torch.equal(value, plain[name]) for name, value in certified.items())
        networks.append(certified)
    means = [network["layers.1.running_mean"] for network in networks]
    assert not torch.equal(*means)  # ranks count their own, and the first rank's are certified
    first = in_lightning.Network()
    first.load_state_dict(networks[0])
    wanted = expected(first, list(range(0, 39, 3)))
    for one in done:
        said = dict(word.split("=") for word in one.stdout.split())
        assert {name: float(value) for name, value in said.items()} == wanted


@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("seed", "ModelError images could not", "ValueError seed must be the same on all"),
        ("grid", "ModelError images could not", "ValueError grid must be the same on all"),
    ],
)
def test_ranks_with_other_settings_are_refused_by_name(
    tmp_path: Path, what: str, first: str, second: str
) -> None:
    done = two_ranks(in_lightning.other_settings, tmp_path, what)
    assert first in done[0].stdout, done[0].stderr
    assert second in done[1].stdout, done[1].stderr


class Logging(in_lightning.Network):
    """A LightningModule that certifies in its own validation step, and logs metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.accuracy = CertifiedAccuracy(SIGMA, 0.1)
        self.collection = MetricCollection(
            {"radius": CertifiedRadius(SIGMA), "far": CertifiedAccuracy(SIGMA, 0.3)}, prefix="c_"
        )

    def validation_step(self, batch: Any, number: int) -> None:
        x, y = batch
        smoothed = sb.SmoothedClassifier(self, SIGMA, channels_last=False)
        index = range(8 * number, 8 * number + len(x))
        options = {"radii": [0.1, 0.3], "thresholds": [0.5]}
        cert = smoothed.certify(x, n0=20, n=300, index=index, **options)
        self.accuracy.update(cert, y)
        self.collection.update(cert, y)
        self.log("accuracy", self.accuracy, on_epoch=True)
        self.log_dict(self.collection, on_epoch=True)


def test_metrics_are_logged_by_a_module_itself(tmp_path: Path) -> None:
    network, made = Logging(), trainer(tmp_path, max_epochs=1)
    validation = DataLoader(images(40, 1), batch_size=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(network, DataLoader(images(), batch_size=8), validation)
    smoothed = sb.SmoothedClassifier(network, SIGMA, channels_last=False)
    x, y = images(40, 1).tensors
    cert = smoothed.certify(x, n0=20, n=300, radii=[0.1, 0.3], thresholds=[0.5])
    for name, metric in {
        "accuracy": CertifiedAccuracy(SIGMA, 0.1),
        "c_radius": CertifiedRadius(SIGMA),
        "c_far": CertifiedAccuracy(SIGMA, 0.3),
    }.items():
        metric.update(cert, y)
        assert float(made.callback_metrics[name]) == float(metric.compute())
    assert network.training


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)  # type: ignore[index]
    found = names["trainer"].callback_metrics
    assert 0.3 < found["certified_accuracy_r0.1"] <= found["certified_accuracy_r0"] <= 1.0


# --- refusals -------------------------------------------------------------------------------------


class Changing(Disturbing):
    def __getitem__(self, i: int) -> Any:
        return torch.rand(2), 0


class Unlike(Disturbing):
    def __getitem__(self, i: int) -> Any:
        return torch.zeros(2 + i), 0


class Unlabelled(Disturbing):
    def __getitem__(self, i: int) -> Any:
        return torch.zeros(2)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Changing(), "must be the same image each time"),
        (Unlike(), r"must be of the shape \(2,\)"),
        ([torch.zeros(3)], r"dataset\[0\] must be an image"),
        ([(torch.zeros(2), -1)], "label must be at least 0"),
        ([(torch.zeros(2), 0.7)], "the number of its class: .*float"),
        ([(torch.zeros(2), torch.tensor(1.0))], "the number of its class"),
    ],
)
def test_images_that_are_not_fixed_and_labelled_are_refused(
    tmp_path: Path, dataset: Any, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        trained(tmp_path, CertifiedValidation(dataset, metrics(), n0=20, n=300))


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("metrics must be a mapping", {"metrics": CertifiedRadius(SIGMA)}),
        ("metrics must be a mapping", {"metrics": {}}),
        ("got 3 as 'a'", {"metrics": {"a": 3}}),
        ("without n_inputs", {"metrics": {"a": CertifiedRadius(SIGMA, n_inputs=3)}}),
        (
            "metrics must have one alpha, got 0.001 and 0.01",
            {"metrics": {"a": CertifiedRadius(SIGMA), "b": CertifiedRadius(SIGMA, alpha=0.01)}},
        ),
        ("index must be increasing", {"index": [3, 3]}),
        ("index must be increasing", {"index": [40]}),
        ("index must be increasing", {"index": []}),
        ("n must be", {"n": 0}),
        ("n0 must be", {"n0": 1.5}),
        ("seed must be", {"seed": -1}),
    ],
)
def test_an_odd_argument_is_named(words: str, given: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        CertifiedValidation(images(40, 1), **({"metrics": metrics()} | given))


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("grid", {"grid": 16}),
        ("n = 3 draws are too few", {"n": 3}),
        ("probabilities", {"outputs": "probabilities"}),
    ],
)
def test_what_cannot_be_certified_is_refused_before_the_first_epoch(
    tmp_path: Path, words: str, given: dict[str, Any]
) -> None:
    steps: list[int] = []

    class Counting(CertifiedValidation):
        def on_train_batch_start(self, *_: Any) -> None:
            steps.append(1)

    made = Counting(images(40, 1), metrics(), **({"n0": 20, "n": 300} | given))
    with pytest.raises((ModelError, ValueError), match=words):
        trained(tmp_path, made)
    assert not steps


def test_a_training_without_validation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="after each validation epoch"):
        trained(tmp_path, callback(), limit_val_batches=0)


def test_a_model_that_smooths_already_is_refused(tmp_path: Path) -> None:
    class Noisy(in_lightning.Network):
        def forward(self, x: Any) -> Any:
            return super().forward(x + torch.randn_like(x))

    made = trainer(tmp_path, callback())
    loaders = DataLoader(images(), batch_size=8), DataLoader(images(40, 1))
    warnings.simplefilter("ignore")  # pytest sets the filters again
    with pytest.raises(ModelError, match="equal rows"):
        made.fit(Noisy(), *loaders)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_parameters_in_other_precisions_are_refused(tmp_path: Path, precision: Any) -> None:
    with pytest.raises(ValueError, match=f"precision must be '32-true' .*, got '{precision}'"):
        trained(tmp_path, callback(), precision=precision)


def test_a_name_that_the_training_logs_itself_is_refused(tmp_path: Path) -> None:
    class Logs(in_lightning.Network):
        def validation_step(self, batch: Any, _: int) -> None:
            self.log("certified_radius", 0.0)

    made = trainer(tmp_path, callback())
    loaders = DataLoader(images(), batch_size=8), DataLoader(images(40, 1))
    warnings.simplefilter("ignore")  # pytest sets the filters again
    with pytest.raises(ValueError, match="not log itself, got 'certified_radius'"):
        made.fit(Logs(), *loaders)


def test_a_strategy_that_splits_the_network_is_refused() -> None:
    from types import SimpleNamespace

    from lightning.pytorch.strategies import FSDPStrategy

    split = SimpleNamespace(strategy=FSDPStrategy.__new__(FSDPStrategy), world_size=1)
    with pytest.raises(TypeError, match="strategy must be one device or DDP"):
        callback().setup(split, None, "fit")
