"""Scores from real producers: taken without a copy and without losing a digit, or refused."""

import array
import ctypes
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

import smoothbound as sb
from smoothbound.scores._arrays import as_scores

SCORES = np.random.default_rng(0).beta(8, 1, size=(6, 400))
SCORES.flags.writeable = False  # nothing may write to it


class Interface:
    """Has the array interface alone."""

    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__


class Dlpack:
    """Has DLPack alone; `device` says where it claims to be."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, *, dl_device=None, copy=None, max_version=None, **options):
        if self.device[0] != 1 and dl_device is None:
            raise BufferError("not on the host")
        return self.array.__dlpack__(max_version=max_version, **options)


def packed():
    """Scores inside of records, misaligned, with a stride."""
    records = np.zeros(SCORES.shape, dtype=[("tag", "u1"), ("score", "f4"), ("more", "u2")])
    records["score"] = SCORES
    assert not records["score"].flags.aligned
    return records["score"]


def mapped(tmp_path):
    np.save(tmp_path / "scores.npy", SCORES)
    return np.load(tmp_path / "scores.npy", mmap_mode="r")


LAYOUTS = {
    "contiguous": lambda: SCORES,
    "columns": lambda: np.asfortranarray(SCORES),
    "transposed": lambda: np.ascontiguousarray(SCORES.T).T,
    "slices": lambda: np.repeat(np.repeat(SCORES, 2, 0), 3, 1)[::2, ::3],
    "backwards": lambda: SCORES[::-1, ::-1].copy()[::-1, ::-1],
    "packed records": packed,
    "float16": lambda: np.repeat(SCORES.astype(np.float16), 2, 1)[:, ::2],
}


@pytest.mark.parametrize("bound", ["mean", "cdf"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_where_it_lies(backend, layout, bound):
    scores = LAYOUTS[layout]()
    scores.flags.writeable = False
    assert np.shares_memory(as_scores(scores), scores)
    options = {"sigma": 1.0, "bound": bound, "backend": backend, "thresholds": [0.5], "threads": 1}
    plain = sb.certify_scores(np.ascontiguousarray(scores), **options)
    cert = sb.certify_scores(scores, **options)
    np.testing.assert_array_equal(cert.lower, plain.lower)
    np.testing.assert_array_equal(cert.radius, plain.radius)


def test_one_score_for_all_draws_takes_no_memory(backend):
    scores = np.broadcast_to(np.float32(0.75), (3, 1000))
    assert np.shares_memory(as_scores(scores), scores)
    cert = sb.certify_scores(scores, sigma=1.0, backend=backend)
    expected = sb.certify_scores(scores.copy(), sigma=1.0, backend=backend).lower
    np.testing.assert_array_equal(cert.lower, expected)


def test_certifying_makes_no_copy():
    if not sb.build_info()["extension"]:
        pytest.skip("numba sorts a copy of each row")
    scores = np.full((2000, 1000), 0.75, dtype=np.float32)[::2, ::2]
    sb.certify_scores(scores[:2], sigma=1.0)
    tracemalloc.start()
    sb.certify_scores(scores, sigma=1.0, threads=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < scores.nbytes / 10


def test_the_array_interface_and_dlpack():
    for scores in (SCORES, SCORES[::2, ::3], np.ascontiguousarray(SCORES.T).T):
        for producer in (Interface(scores), Dlpack(scores)):
            taken = as_scores(producer)
            assert np.shares_memory(taken, scores)
            assert not taken.flags.writeable or scores.flags.writeable
            np.testing.assert_array_equal(taken, scores)


def test_dlpack_on_another_device():
    far = Dlpack(SCORES, device=(2, 0))
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        np.testing.assert_array_equal(as_scores(far), SCORES)

    class Unreachable(Dlpack):
        def __dlpack__(self, **options):
            raise BufferError("not on the host")

    with pytest.raises(TypeError, match="Unreachable cannot be read through DLPack"):
        as_scores(Unreachable(SCORES, device=(2, 0)))


def test_the_buffer_protocol(tmp_path):
    doubles = array.array("d", SCORES.ravel())
    view = memoryview(doubles).cast("B").cast("d", SCORES.shape)
    table = (ctypes.c_double * 400 * 6).from_buffer_copy(SCORES.tobytes())
    for producer in (view, view.toreadonly(), table, mapped(tmp_path)):
        taken = as_scores(producer)
        np.testing.assert_array_equal(taken, SCORES)
        assert np.shares_memory(taken, np.asarray(producer))
    assert not as_scores(view.toreadonly()).flags.writeable
    doubles[0] = 0.25  # it is the same memory
    assert as_scores(view)[0, 0] == 0.25
    with pytest.raises(ValueError, match=r"pass scores\[None, :\]"):
        as_scores(doubles)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(SCORES.copy())
    columns = tensor.t().contiguous().t()
    shared = [tensor, columns, tensor[::2, ::3], tensor.float(), tensor.half(),
              torch.nn.Parameter(tensor), tensor.clone().requires_grad_(),
              tensor.as_subclass(type("Mine", (torch.Tensor,), {}))]  # fmt: skip
    for scores in shared:
        taken = as_scores(scores)
        assert taken.ctypes.data == scores.data_ptr()
        np.testing.assert_array_equal(taken, scores.detach().numpy())
    wide = as_scores(tensor.to(torch.bfloat16))
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, tensor.to(torch.bfloat16).float().numpy())
    negated = torch.complex(tensor, -tensor).conj().imag
    np.testing.assert_array_equal(as_scores(negated), SCORES)


@pytest.mark.parametrize(
    "make",
    [
        lambda torch: torch.rand(2, 3).to_sparse(),
        lambda torch: torch.rand(2, 3, device="meta"),
        lambda torch: torch.rand(2, 3).to(torch.float8_e4m3fn),
        lambda torch: torch.ones(2, 3, dtype=torch.int64),
        lambda torch: torch.ones(2, 3, dtype=torch.complex64),
    ],
    ids=["sparse", "meta", "float8", "int64", "complex"],
)
def test_tensors_that_are_no_scores(make):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="scores must be"):
        as_scores(make(torch))


def test_arrow_arrays():
    flat = pa.array(SCORES.ravel())
    fixed = pa.FixedSizeListArray.from_arrays(flat, 400)
    lists = pa.ListArray.from_arrays(pa.array(np.arange(0, 2401, 400), pa.int32()), flat)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(SCORES)
    shared = [fixed, lists, fixed[2:5], pa.chunked_array([lists]), tensors,
              pa.Tensor.from_numpy(SCORES)]  # fmt: skip
    for scores in shared:
        taken = as_scores(scores)
        assert np.shares_memory(taken, SCORES)
        assert not taken.flags.writeable
    np.testing.assert_array_equal(as_scores(fixed), SCORES)
    np.testing.assert_array_equal(as_scores(fixed[2:5]), SCORES[2:5])
    np.testing.assert_array_equal(as_scores(lists[1:]), SCORES[1:])
    both = as_scores(pa.chunked_array([fixed[:2], fixed[2:]]))  # has to be put together
    np.testing.assert_array_equal(both, SCORES)
    halves = pa.FixedSizeListArray.from_arrays(pa.array(SCORES.astype(np.float16).ravel()), 400)
    assert as_scores(halves).dtype == np.float16


@pytest.mark.parametrize(
    ("scores", "kind", "match"),
    [
        (pa.array([[0.5, 0.5], [0.5]]), ValueError, "lists of 1 to 2"),
        (pa.array([[0.5, None], [0.5, 0.5]]), ValueError, "must not be null"),
        (pa.array([[0.5, 0.5], None]), ValueError, "must not be null"),
        (pa.array([[1, 2], [3, 4]]), TypeError, "got int64"),
        (pa.array([0.5, 0.5]), ValueError, r"pass scores\[None, :\]"),
        (
            pa.table({"label": ["cat"], "score": [0.5]}),
            TypeError,
            "got string in the column 'label'",
        ),
        (pa.table({"a": [0.5], "label": [1]}), TypeError, "got int64 in the column 'label'"),
        (pa.table({"a": [0.5], "b": [None]}), TypeError, "got null in the column 'b'"),
        (pa.table({"a": [0.5, None]}), ValueError, "must not be null"),
        (pa.table({"a": [[0.5, 0.5]]}), TypeError, r"got list<.*> in the column 'a'"),
        (pa.array([], pa.list_(pa.float32())), ValueError, "at least one draw"),
    ],
)
def test_arrow_arrays_that_are_no_scores(scores, kind, match):
    with pytest.raises(kind, match=match):
        as_scores(scores)


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SCORES)
    frames = [
        frame,
        frame.convert_dtypes(),
        frame.convert_dtypes(dtype_backend="pyarrow"),
        frame.astype(pandas.SparseDtype("float64")),
        pa.Table.from_pandas(frame),
        pa.RecordBatch.from_pandas(frame),
    ]
    for one in frames:
        np.testing.assert_array_equal(as_scores(one), SCORES)
    assert as_scores(frame.astype("float32")).dtype == np.float32


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.assign(correct=1), "int64 in the column 'correct'"),
        (lambda frame: frame.assign(correct=True), "bool in the column 'correct'"),
        (lambda frame: frame[:2].reset_index(), "int64 in the column 'index'"),
        (lambda frame: frame.assign(label="cat"), r"str|object in the column 'label'"),
        (lambda frame: frame.assign(z=1j), "complex128 in the column 'z'"),
        (lambda frame: frame.convert_dtypes().mask(frame > 0.9), "got DataFrame"),
    ],
)
def test_a_column_of_a_frame_that_is_no_scores_is_refused(change, said):
    """Converted to floats, its numbers would count as draws."""
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=f"scores must be .*{said}"):
        as_scores(change(pandas.DataFrame(SCORES)))


def test_jax_arrays():
    numpy = pytest.importorskip("jax.numpy")
    scores = numpy.asarray(SCORES, dtype="float32")
    np.testing.assert_array_equal(as_scores(scores), SCORES.astype(np.float32))
    narrow = scores.astype("bfloat16")
    np.testing.assert_array_equal(as_scores(narrow), np.asarray(narrow.astype("float32")))


@pytest.mark.parametrize("dtype", ["longdouble", "int64", "uint8", "bool", "complex64", "object"])
def test_no_silent_cast(dtype):
    with pytest.raises(TypeError, match="float16, float32 or float64, got"):
        as_scores(SCORES.astype(dtype))


def test_masked_scores_are_refused():
    with pytest.raises(ValueError, match="must not be masked"):
        as_scores(np.ma.masked_greater(SCORES, 0.9))
    with pytest.raises(ValueError, match="must not be masked"):
        as_scores(list(np.ma.masked_greater(SCORES, 0.9)))
    np.testing.assert_array_equal(as_scores(np.ma.array(SCORES)), SCORES)


@pytest.mark.parametrize("name", ["radii", "thresholds"])
def test_masked_radii_and_thresholds_are_refused(name):
    masked = np.ma.array([0.5, 0.25], mask=[False, True])
    with pytest.raises(ValueError, match=f"{name} must not be masked"):
        sb.certify_scores(SCORES, sigma=1.0, **{name: masked})
    cert = sb.certify_scores(SCORES, sigma=1.0, **{name: np.ma.array([0.5, 0.25])})
    assert getattr(cert.settings, name) == (0.5, 0.25)


def test_rows_of_a_list_have_to_be_scores_themselves():
    np.testing.assert_array_equal(as_scores(list(SCORES)), SCORES)
    np.testing.assert_array_equal(as_scores(tuple(SCORES.tolist())), SCORES)
    with pytest.raises(TypeError, match="float16, float32 or float64, got int64"):
        as_scores([SCORES[0], np.ones(400, np.int64)])
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(row).requires_grad_() for row in SCORES]
    np.testing.assert_array_equal(as_scores(tensors), SCORES)
    with pytest.raises(TypeError, match="float16, float32 or float64, got int64"):
        as_scores([tensors[0], torch.ones(400, dtype=torch.int64)])


class Raises:
    """Fails in its own way when it is read."""

    def __array__(self, *args, **options):
        raise KeyError("no data")


@pytest.mark.parametrize(
    "scores",
    [
        None,
        0.5,
        "0.5",
        {"a": 0.5},
        {0.5},
        object(),
        float,
        iter([0.5]),
        [[0.5, 0.5], [0.5]],
        [[0.5, [0.5]]],
        [[0.5, None]],
        [[0.5, "0.5"]],
        [["0.5"]],
        [[10**400, 0.5]],
        [[10**400]],
        [[0.5j]],
        [],
        [[]],
        [[[0.5]]],
        Raises(),
        np.array(0.5),
        np.zeros((2, 2), [("a", "f4"), ("b", "f4")]),
        np.zeros((2, 2), "M8[s]"),
        np.array([["a", "b"]]),
        np.array([[0.5, 10**400]], dtype=object),
    ],
)
def test_whatever_is_no_scores_is_refused_by_name(scores):
    with pytest.raises((TypeError, ValueError), match=r"^scores "):
        sb.certify_scores(scores, sigma=1.0)


def test_whole_numbers_beyond_a_float_are_refused():
    assert as_scores([[2**53, 0.5]])[0, 0] == 2.0**53
    with pytest.raises(TypeError, match="no float64 holds"):
        as_scores([[2**53 + 1, 0.5]])
    np.testing.assert_array_equal(as_scores([[1e300, 0.5]]), [[1e300, 0.5]])
