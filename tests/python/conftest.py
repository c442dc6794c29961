"""Settings shared by all tests."""

import importlib.util
import os

# Before torch is imported: small networks gain nothing from threads, and lose on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from smoothbound import build_info

# No deadline: a busy machine must not fail a test. Derandomised: a failure repeats itself.
settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


@pytest.fixture(scope="session", params=["cpp", "numba"])
def backend(request):
    """Each backend in turn; a build without the C++ core has numba alone."""
    if request.param == "cpp" and not build_info()["extension"]:
        pytest.skip(f"no C++ core: {build_info()['extension_error']}")
    return request.param


@pytest.fixture(scope="session", autouse=True)
def _commands_made_once():
    """Keep the commands that typer makes, because making them takes most of a short call."""
    if importlib.util.find_spec("typer") is None:
        yield
        return
    from functools import cache

    import typer.main
    import typer.testing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def torchvision():
    """Return torchvision to compare with, or skip where there is none.

    Beside a torch without CUDA it imports only where its operators are defined.
    """
    import torch

    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs torchvision, to compare with")
    try:
        torch.ops.torchvision.nms  # noqa: B018
    except AttributeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torchvision = pytest.importorskip("torchvision", exc_type=(ImportError, RuntimeError))
    importlib.import_module("torchvision.transforms")
    return torchvision


@pytest.fixture(scope="session")
def digits_network(tmp_path_factory):
    """Return the checkpoint of a small network that was trained on digits for four epochs."""
    from typer.testing import CliRunner

    from smoothbound.cli._app import app

    path = tmp_path_factory.mktemp("network") / "model.pt"
    options = ["--data", "digits", "--arch", "digits_cnn", "--sigma", "0.25", "--epochs", "4"]
    result = CliRunner().invoke(app, ["train", *options, "--out", str(path)])
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def fifty_digits():
    """Let mpmath compute in 50 digits."""
    import mpmath

    with mpmath.workdps(50):
        yield


@pytest.fixture(scope="module")
def one_thread():
    """Give torch one thread: small networks gain little from more, and lose on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plainly_drawn(monkeypatch):
    """Draw every panel, but on plain axes and as SVG alone: the rest takes nearly all the time."""
    import io

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from smoothbound.figures._style import STYLE
    from smoothbound.report import _drawing as drawing

    def rendered(title, caption, panels, *, alike=True):
        svg = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure = Figure(dpi=50)
            FigureCanvasAgg(figure)
            for place, panel in enumerate(panels, 1):
                panel(figure.add_subplot(1, len(panels), place))
            figure.savefig(svg, format="svg")
        return b"no picture" * 20, svg.getvalue()

    monkeypatch.setattr(drawing, "rendered", rendered)


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the drawing out, which takes nearly all the time, where no picture is looked at."""
    from smoothbound.report import _drawing as drawing

    monkeypatch.setattr(drawing, "rendered", lambda *_, **__: (b"", b"<svg "))
