"""Adapters: models of other libraries, drawn from exactly like a torch module."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import smoothbound as sb
from smoothbound import adapters
from smoothbound.adapters._base import BaseClassifier
from smoothbound.errors import ModelError
from smoothbound.sampling._jobs import Draws
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._classifier import SmoothedClassifier

SHAPE, CLASSES, SIGMA = (2, 3), 4, 0.5
RNG = np.random.default_rng(0)
W = RNG.normal(size=(6, CLASSES)).astype(np.float32)
B = RNG.normal(size=CLASSES).astype(np.float32)
X = RNG.normal(size=SHAPE).astype(np.float32)

CPU = torch.device("cpu")


class Network(nn.Module):
    """The classifier that every test below has in another library too."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, CLASSES)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor(W.T))
            self.head.bias.copy_(torch.tensor(B))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x.flatten(1))
        return out


def draw(model: Any, *, x: np.ndarray = X, batch_size: int = 64, **options: Any) -> Draws:
    return Sampler(model, SIGMA, batch_size=batch_size, **options).draw(x, n0=50, n=300, seed=3)


def agree(one: Draws, two: Draws) -> bool:
    np.testing.assert_allclose(one.scores, two.scores, atol=2e-6)
    return (one.selected, one.top_count) == (two.selected, two.top_count)


def export(batch: Any = None, rows: int = 5, model: nn.Module | None = None) -> Any:
    shapes = None if batch is None else ({0: batch},)
    network = Network().eval() if model is None else model
    return torch.export.export(network, (torch.zeros(rows, *SHAPE),), dynamic_shapes=shapes)


def session(
    batch: int | str | None = "batch",
    *,
    dtype: Any = np.float32,
    probabilities: bool = False,
    second: bool = False,
) -> Any:
    """Make an ONNX Runtime session of the network."""
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    last = "probabilities" if probabilities else "logits"
    nodes = [
        onnx.helper.make_node("Flatten", ["image"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "w"], ["product"]),
        onnx.helper.make_node("Add", ["product", "b"], ["logits"]),
        onnx.helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = onnx.helper.make_graph(
        nodes if probabilities else nodes[:-1],
        "network",
        [
            onnx.helper.make_tensor_value_info(name, kind, [batch, *SHAPE])
            for name in (("image", "mask") if second else ("image",))
        ],
        [
            onnx.helper.make_tensor_value_info(name, kind, [batch, CLASSES])
            for name in (("logits", last) if probabilities else ("logits",))
        ],
        [
            onnx.numpy_helper.from_array(value.astype(dtype), name)
            for name, value in (("w", W), ("b", B))
        ],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def by_numpy(x: np.ndarray) -> np.ndarray:
    out: np.ndarray = x.reshape(len(x), -1) @ W + B
    return out


def by_jax(x: Any) -> Any:
    return x.reshape(len(x), -1) @ W + B


def jitted() -> Any:
    return pytest.importorskip("jax").jit(by_jax)


def regression() -> Any:
    """Make a logistic regression with the network's weights."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    fitted = linear_model.LogisticRegression().fit(np.eye(6), [0, 1, 2, 3, 0, 1])
    fitted.coef_, fitted.intercept_ = W.T.astype(np.float64), B.astype(np.float64)
    return fitted


# --- the same draws as of a module -----------------------------------------------------------

MODELS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: adapters.numpy(by_numpy),
    "onnx": lambda: adapters.onnx(session()),
    "onnx, recognised": session,
    "onnx, batches of 1": lambda: session(1),
    "onnx, batches of 7": lambda: session(7),
    "onnx, batches of 100": lambda: session(100),
    "jax": lambda: pytest.importorskip("jax") and adapters.jax(by_jax),
    "jax, compiled": lambda: adapters.jax(jitted()),
    "jax, recognised": jitted,
    "exported": lambda: adapters.exported(export(torch.export.Dim("batch"))),
    "exported, recognised": lambda: export(torch.export.Dim.AUTO),
    "exported, batches of 1": lambda: export(rows=1),
    "exported, batches of 5": export,
    "exported, batches of 100": lambda: export(rows=100),
    "exported, batches of 3 to 20": lambda: export(torch.export.Dim("batch", min=3, max=20)),
    "own": lambda: BaseClassifier("own", Network(), CPU, torch.float32),
}


@pytest.mark.parametrize("name", MODELS)
def test_draws_equal_those_of_the_module(name: str) -> None:
    with torch.no_grad():
        assert agree(draw(MODELS[name](), outputs="logits"), draw(Network()))


def test_estimators_return_the_probabilities_of_the_module() -> None:
    fitted = regression()
    reference = draw(Network())
    assert agree(draw(fitted), reference)
    assert agree(draw(adapters.sklearn(fitted), outputs="probabilities"), reference)
    assert agree(draw(fitted, x=X.astype(np.float64)), draw(Network().double(), x=np.float64(X)))


def test_outputs_of_a_session_are_named() -> None:
    both = session(probabilities=True)
    one = adapters.onnx(both, output="logits")
    two = adapters.onnx(both, output="probabilities")
    assert agree(draw(one, outputs="logits"), draw(two, outputs="probabilities"))
    with pytest.raises(ValueError, match="has the outputs 'logits', 'probabilities': name the one"):
        adapters.onnx(both)
    with pytest.raises(ValueError, match="output must be one of 'logits', 'probabilities'; got"):
        adapters.onnx(both, output="scores")


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("make", ["trace", "script"])
def test_torchscript_is_a_module(make: str, frozen: bool) -> None:
    network = Network().eval()
    program = (
        torch.jit.trace(network, torch.zeros(2, *SHAPE))
        if make == "trace"
        else torch.jit.script(network)
    )
    if frozen:
        program = torch.jit.freeze(program)
    assert agree(draw(program), draw(network))
    assert agree(draw(program, batch_size=300), draw(network, batch_size=300))


def test_the_certificate_of_an_adapted_model_is_true_and_says_what_was_stated() -> None:
    """Logits +-2 x0: the score is sigmoid(4 x0), and noise moves x0 along a line."""
    pytest.importorskip("sklearn")
    fitted = regression()
    fitted.classes_ = np.array([0, 1])
    fitted.coef_, fitted.intercept_ = np.eye(1, 6) * 4.0, np.zeros(1)
    point = np.zeros((1, *SHAPE), np.float32)
    point[0, 0, 0] = 0.8
    radii = [0.0, 0.2, 0.5]
    cert = SmoothedClassifier(fitted, SIGMA).certify(point, n=20_000, radii=radii)
    z, weight = np.polynomial.hermite_e.hermegauss(120)
    worst = [
        weight @ (1 / (1 + np.exp(-4 * (0.8 - radius + SIGMA * z)))) / np.sqrt(2 * np.pi)
        for radius in radii
    ]
    assert cert.predicted.tolist() == [1]
    assert (cert.lower[0] <= worst).all()
    assert (cert.lower[0] >= np.array(worst) - 0.05).all()
    assert (cert.settings.outputs, cert.settings.device) == ("probabilities", "cpu")


# --- what a model is given -------------------------------------------------------------------


def test_numpy_is_given_the_memory_of_the_batch() -> None:
    batch, seen = torch.zeros(5, 2), []
    model = adapters.numpy(lambda x: seen.append(x) or x)
    out = model(batch)
    assert np.shares_memory(seen[0], batch.numpy())
    assert out.data_ptr() == batch.data_ptr()


def test_jax_is_given_the_memory_of_the_batch() -> None:
    pytest.importorskip("jax")
    memory = torch.zeros(1 << 16)
    start = -memory.data_ptr() % 64 // 4  # JAX shares what is aligned to its vectors
    batch, seen = memory[start : start + 40].reshape(20, 2), []
    out = adapters.jax(lambda x: seen.append(x.unsafe_buffer_pointer()) or x)(batch)
    assert seen == [batch.data_ptr()]
    assert out.data_ptr() == batch.data_ptr()
    assert torch.equal(
        adapters.jax(by_jax)(memory[1:61].reshape(10, 6)), torch.tensor(B).expand(10, 4)
    )


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("kind", ["numpy", "jax", "onnx"])
def test_batches_may_lie_in_any_order(kind: str, strided: bool) -> None:
    batch = torch.randn(6, *SHAPE)
    if strided:
        batch = batch.transpose(1, 2).contiguous().transpose(1, 2)
    model = adapters.onnx(session()) if kind == "onnx" else MODELS[kind]()
    np.testing.assert_allclose(model(batch), by_numpy(batch.numpy()), atol=1e-5)


def test_results_that_torch_cannot_share_are_copied() -> None:
    def backwards(x: np.ndarray) -> np.ndarray:
        out = x[:, ::-1]
        out.setflags(write=False)
        return out

    batch = torch.arange(6.0).reshape(2, 3)
    assert adapters.numpy(backwards)(batch).tolist() == [[2, 1, 0], [5, 4, 3]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_is_given_the_declared_type(dtype: Any) -> None:
    seen: set[str] = set()
    model = adapters.numpy(lambda x: seen.add(x.dtype.name) or x[:, 0], dtype=dtype)
    draw(model, outputs="raw", measure=sb.custom(lambda out, y: out[:, 0].sigmoid(), (0.0, 1.0)))
    assert seen == {dtype}


def test_sessions_in_double_precision() -> None:
    model = session(dtype=np.float64)
    double = draw(model, x=np.float64(X), outputs="logits")
    assert agree(double, draw(Network().double(), x=np.float64(X)))
    assert agree(draw(model, outputs="logits"), draw(Network()))  # widened, which is exact


def test_a_session_in_half_precision_certifies_the_rounded_network() -> None:
    def rounded(x: np.ndarray) -> np.ndarray:
        return by_numpy(x.astype(np.float16).astype(np.float32))

    half = draw(session(dtype=np.float16), outputs="logits")
    np.testing.assert_allclose(
        half.scores, draw(adapters.numpy(rounded), outputs="logits").scores, atol=0.01
    )


def test_jax_in_double_precision_where_it_is_switched_on() -> None:
    jax = pytest.importorskip("jax")
    with pytest.raises(ValueError, match="jax_enable_x64"):
        adapters.jax(by_jax, dtype="float64")
    jax.config.update("jax_enable_x64", True)
    try:
        seen: set[str] = set()
        model = adapters.jax(lambda x: seen.add(x.dtype.name) or by_jax(x), dtype="float64")
        double = draw(model, x=np.float64(X), outputs="logits")
        assert agree(double, draw(Network().double(), x=np.float64(X)))
        assert seen == {"float64"}
    finally:
        jax.config.update("jax_enable_x64", False)


def test_an_estimator_fitted_on_a_frame_gets_its_column_names() -> None:
    pd, pipeline = pytest.importorskip("pandas"), pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    columns = list("abcdef")
    frame = pd.DataFrame(RNG.normal(size=(40, 6)), columns=columns)
    labels = (frame["c"] > 0).astype(int)
    named = pipeline.make_pipeline(preprocessing.StandardScaler(), regression())
    named.fit(frame, labels)  # without names it would warn, which is an error here
    model = adapters.sklearn(named)
    rows = frame.to_numpy()[:5]
    np.testing.assert_array_equal(model(torch.tensor(rows)), named.predict_proba(frame[:5]))


def test_programs_and_sessions_are_called_with_the_sizes_that_they_take() -> None:
    class Sizes:
        """A session that takes only 8 rows, and counts them."""

        def __init__(self) -> None:
            self.session, self.sizes = session(8), []

        def get_inputs(self) -> Any:
            return self.session.get_inputs()

        def get_outputs(self) -> Any:
            return self.session.get_outputs()

        def run(self, names: Any, feed: dict[str, np.ndarray]) -> Any:
            self.sizes.append(len(feed["image"]))
            return self.session.run(names, feed)

    fixed = Sizes()
    batch = torch.randn(19, *SHAPE)
    np.testing.assert_allclose(adapters.onnx(fixed)(batch), by_numpy(batch.numpy()), atol=1e-5)
    assert fixed.sizes == [8, 8, 8]


# --- what it returns is stated -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "onnx", "jax", "exported", "own"])
def test_logits_and_probabilities_are_never_guessed(name: str) -> None:
    model = MODELS[name]()
    with pytest.raises(ValueError, match="outputs must be stated for a model of the kind"):
        Sampler(model, SIGMA)
    for stated in ("logits", "probabilities", "raw"):
        assert Sampler(model, SIGMA, outputs=stated).outputs == stated


def test_a_statement_may_not_contradict_the_model() -> None:
    fitted = regression()
    assert Sampler(fitted, SIGMA).outputs == "probabilities"
    assert Sampler(fitted, SIGMA, outputs="raw").outputs == "raw"
    with pytest.raises(ValueError, match="'logits', and this LogisticRegression returns prob"):
        Sampler(fitted, SIGMA, outputs="logits")
    with pytest.raises(ValueError, match="outputs must be one of"):
        Sampler(fitted, SIGMA, outputs="scores")  # type: ignore[arg-type]
    assert Sampler(Network(), SIGMA).outputs == "logits"
    assert Sampler(Network(), SIGMA, outputs="probabilities").outputs == "probabilities"


def test_wrongly_stated_probabilities_are_found_out() -> None:
    with pytest.raises(ModelError, match="stated to return probabilities"):
        draw(adapters.numpy(by_numpy), outputs="probabilities")


def test_the_device_is_the_declared_one() -> None:
    model = adapters.numpy(by_numpy)
    assert Sampler(model, SIGMA, outputs="logits").device == CPU
    assert Sampler(model, SIGMA, outputs="logits", device="cpu").device == CPU
    with pytest.raises(ValueError, match="device must be left out, or 'cpu' where this NumPy"):
        Sampler(model, SIGMA, outputs="logits", device="meta")


def test_no_library_is_loaded_that_the_model_does_not_come_from() -> None:
    code = (
        "import sys, torch, smoothbound as sb\n"
        "sb.SmoothedClassifier(torch.nn.Linear(2, 2), 0.5).draw(torch.zeros(2), n=5)\n"
        "sb.SmoothedClassifier(sb.adapters.numpy(lambda x: x), 0.5, outputs='logits')\n"
        "loaded = {'jax', 'onnxruntime', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: adapters.numpy(3), TypeError, "adapters.numpy takes a function"),
        (lambda: adapters.numpy(by_numpy, dtype="int8"), ValueError, "dtype must be one of"),
        (lambda: adapters.jax(3), TypeError, "adapters.jax takes a function"),
        (lambda: adapters.jax(by_jax, dtype="half"), ValueError, "dtype must be one of"),
        (
            lambda: adapters.onnx("model.onnx"),
            TypeError,
            r"InferenceSession\('model.onnx'",
        ),
        (lambda: adapters.onnx(session(dtype=np.int32)), ValueError, r"got \(image: tensor.int32"),
        (lambda: adapters.onnx(session(second=True)), ValueError, r"got \(image: .*, mask:"),
        (lambda: adapters.exported(Network()), TypeError, "ExportedProgram, got Network"),
    ],
)
def test_adapters_refuse(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    for library in ("jax", "onnx", "onnxruntime"):
        pytest.importorskip(library)
    with pytest.raises(error, match=message):
        make()


def test_programs_that_are_no_classifier_of_one_batch_are_refused() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    class Lookup(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.float()

    class Named(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"logits": x.flatten(1)}

    batch = torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"got \(torch.float32, torch.float32\)"):
        adapters.exported(torch.export.export(Two(), (batch, batch)))
    with pytest.raises(ValueError, match=r"floating-point batch, got \(torch.int32\)"):
        adapters.exported(torch.export.export(Lookup(), (batch.int(),)))
    with pytest.raises(TypeError, match=r"the torch\.export program itself, not its module"):
        draw(export().module())
    with pytest.raises(ModelError, match="the program returns dict: export one"):
        draw(export(model=Named()), outputs="logits")


@pytest.mark.parametrize(
    ("layer", "refused"),
    [
        (nn.BatchNorm1d(2), True),
        (nn.Dropout(0.5), True),
        (nn.BatchNorm1d(2).eval(), False),
        (nn.Dropout(0.5).eval(), False),
        (nn.InstanceNorm1d(2).eval(), False),
    ],
)
@pytest.mark.parametrize("lowered", [False, True])
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
def test_programs_exported_in_training_mode_are_refused(
    layer: nn.Module, refused: bool, lowered: bool
) -> None:
    program = export(model=layer)
    if lowered:
        program = program.run_decompositions()
    if refused:
        with pytest.raises(ValueError, match="exported in training mode"):
            adapters.exported(program)
    else:
        assert adapters.exported(program)(torch.ones(3, *SHAPE)).shape == (3, *SHAPE)


def test_estimators_without_probabilities_are_refused_with_the_way_round() -> None:
    svm, forest = pytest.importorskip("sklearn.svm"), pytest.importorskip("sklearn.ensemble")
    fitted = svm.LinearSVC().fit(np.eye(6), [0, 1, 2, 3, 0, 1])
    with pytest.raises(TypeError, match=r"LinearSVC has no predict_proba: .*decision_function"):
        Sampler(fitted, SIGMA)
    draw(
        adapters.numpy(lambda x: fitted.decision_function(x.reshape(len(x), -1))), outputs="logits"
    )
    two = forest.RandomForestClassifier(n_estimators=2).fit(np.eye(6), np.eye(6)[:, :2])
    with pytest.raises(ModelError, match="returns 2 arrays, one for each label"):
        draw(two)


def test_double_precision_is_not_narrowed() -> None:
    for name in ("numpy", "onnx", "jax", "exported"):
        with pytest.raises(TypeError, match=r"float64 and the model computes in torch\.float32"):
            draw(MODELS[name](), x=X.astype(np.float64), outputs="logits")


@pytest.mark.parametrize(
    "option", [{"precision": "bfloat16"}, {"channels_last": True}, {"compile": "default"}]
)
def test_options_of_torch_are_for_torch(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are for torch modules; this model is of the kind NumPy"):
        Sampler(adapters.numpy(by_numpy), SIGMA, outputs="logits", **option)


def test_functions_over_arrays_find_their_adapter() -> None:
    with pytest.raises(ModelError, match=r"returned ndarray.*see smoothbound\.adapters"):
        draw(lambda x: by_numpy(x.numpy()))


def test_what_a_library_raises_is_told() -> None:
    with pytest.raises(ModelError, match=r"raised ValueError .*features"):
        draw(regression(), x=X[:1])
