"""Arrays from a .npz: every error names what was found, and normalization is what it says."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.design import Dataset, Design
from codesign.errors import InputError
from codesign.load.data.dataset import make_dataset
from codesign.load.npz import Npz

ROWS = {"train": (0, 6), "validation": (6, 8), "test": (8, 10)}


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    """Ten sound samples."""
    x = np.random.default_rng(0).normal(3, 2, (10, 4)).astype(np.float32)
    return {"x": x, "y": np.arange(10) % 3, "names": np.array(["g", "q", "t"])} | changed


def archive(folder: Path, content: dict[str, np.ndarray]) -> Path:
    """Written as a .npz."""
    path = folder / "data.npz"
    np.savez(path, **content)
    return path


def read(path: Path, **options: Any) -> Dataset:
    """Read by the pass."""
    return Npz(data=path, **(ROWS | options)).read()


def made(content: dict[str, np.ndarray], **options: Any) -> Dataset:
    """Made from arrays in memory."""
    return make_dataset({"x": content["x"]}, content["y"], **({"rows": ROWS} | options))


def test_the_pass_writes_the_dataset(tmp_path: Path) -> None:
    content = arrays()
    step = Npz(data=archive(tmp_path, content), **ROWS, classes="names")
    assert step.files() == (tmp_path / "data.npz",)
    dataset = step(Design({})).dataset
    assert dataset.classes == ("g", "q", "t")
    assert np.array_equal(dataset.inputs[0], content["x"])
    assert dataset.labels.tolist() == content["y"].tolist()
    assert dataset.mean is dataset.scale is None


def test_splits_are_their_rows(tmp_path: Path) -> None:
    content = arrays()
    rows = {"test": (0, 3), "train": (4, 9), "validation": (9, 10)}  # in any order, with rows left over
    dataset = read(archive(tmp_path, content), **rows)
    for name, (start, stop) in rows.items():
        split = dataset.split(name)
        assert len(split) == stop - start
        assert np.array_equal(split.inputs[0], content["x"][start:stop])
        assert split.labels.tolist() == content["y"][start:stop].tolist()


def test_several_inputs_keep_their_order(tmp_path: Path) -> None:
    content = arrays(tracks=np.ones((10, 2, 3)), muons=np.zeros((10, 1), np.int8))
    dataset = read(archive(tmp_path, content), inputs=("tracks", "x", "muons"))
    assert [x.shape for x in dataset.inputs] == [(10, 2, 3), (10, 4), (10, 1)]
    assert all(x.dtype == np.float32 for x in dataset.inputs)
    assert dataset.labels.dtype == np.int64


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.integers(-999, 999).map(lambda number: number / 8), min_size=2, max_size=2), min_size=3, max_size=20
    ),
    st.data(),
)
def test_normalization_by_definition(values: list[list[float]], data: st.DataObject) -> None:
    """Mean and deviation are those of the training split alone, in exact arithmetic up to the last roots."""
    count = len(values)
    start = data.draw(st.integers(0, count - 3))
    stop = data.draw(st.integers(start + 1, count - 2))
    rows = {"train": (start, stop), "validation": (stop, stop + 1), "test": (stop + 1, count)}
    x = np.array(values, np.float32)
    dataset = make_dataset({"x": x}, np.zeros(count, np.int64), rows, normalize="standard")
    for feature in range(2):
        column = [Fraction(value[feature]) for value in values]
        train = column[start:stop]
        mean = sum(train, Fraction(0)) / len(train)
        variance = sum(((value - mean) ** 2 for value in train), Fraction(0)) / len(train)
        scale = float(variance) ** 0.5 if variance else 1.0
        np.testing.assert_allclose(dataset.mean[0][feature], float(mean), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(dataset.scale[0][feature], scale, rtol=1e-12)
        wanted = [float(value - mean) / scale for value in column]
        np.testing.assert_allclose(dataset.inputs[0][:, feature], wanted, rtol=1e-6, atol=1e-6)


def test_constant_features_are_only_shifted() -> None:
    x = np.full((10, 1), 0.1, np.float32)
    x[9] = 5
    dataset = made(arrays(x=x), normalize="standard")
    assert dataset.scale[0].tolist() == [1.0]
    assert (dataset.inputs[0][:9] == 0).all()
    assert dataset.inputs[0][9, 0] == np.float32(5 - np.float64(np.float32(0.1)))


def test_features_of_several_axes_are_normalized_one_by_one() -> None:
    x = np.random.default_rng(1).normal(size=(10, 2, 3)).astype(np.float32)
    dataset = made(arrays(x=x), normalize="standard")
    flat = made(arrays(x=x.reshape(10, 6)), normalize="standard")
    assert dataset.mean[0].shape == dataset.scale[0].shape == (2, 3)
    assert np.array_equal(dataset.inputs[0].reshape(10, 6), flat.inputs[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": ("z",)}, "no array 'z'; wanted: one of x, y, names"),
        ({"labels": "z"}, "no array 'z'"),
        ({"classes": "z"}, "no array 'z'"),
    ],
)
def test_arrays_that_are_not_there(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"data.npz: {message}"):
        read(archive(tmp_path, arrays()), **options)


@pytest.mark.parametrize(
    "x",
    [np.zeros(10), np.zeros((10, 2), bool), np.full((10, 2), "a"), np.zeros((10, 2), complex), np.array(1.0)],
    ids=["one axis", "truth values", "text", "complex", "no axis"],
)
def test_inputs_that_are_not_numbers_per_sample(x: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"array 'x': shape \[.*numbers of shape \[samples, features...\]"):
        read(archive(tmp_path, arrays(x=x)))


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(0, 3))
def test_values_that_are_not_finite_are_counted(nans: int, infinities: int) -> None:
    x = np.zeros((10, 4))
    x.flat[:nans] = np.nan
    x.flat[10 : 10 + infinities] = np.inf
    if nans + infinities == 0:
        made(arrays(x=x))
        return
    with pytest.raises(InputError, match=f"array 'x': {nans + infinities} of 40 values are NaN or infinite"):
        made(arrays(x=x))


def test_a_double_beyond_float32_is_not_finite_either() -> None:
    x = np.zeros((10, 4))
    x[2, 1] = 1e39
    with pytest.raises(InputError, match="array 'x': 1 of 40 values"):
        made(arrays(x=x))


def test_lengths_that_differ(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="array 'x': 9 rows; wanted: 10, as there are labels"):
        read(archive(tmp_path, arrays(x=np.zeros((9, 4)))))


@pytest.mark.parametrize(
    "y", [np.zeros(10), np.eye(10, 3, dtype=int), np.zeros(10, bool), np.full(10, "g"), np.array(3)],
    ids=["float", "one-hot", "truth values", "text", "no axis"],
)  # fmt: skip
def test_labels_that_are_not_class_indices(y: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels: shape \[.*\] of .*integers of shape \[samples\]"):
        read(archive(tmp_path, arrays(y=y)))


def test_labels_out_of_range(tmp_path: Path) -> None:
    y = np.array([0, 1, 2, 3, 7, 0, 0, 0, 0, 0], np.uint8)
    assert read(archive(tmp_path, arrays(y=y))).labels.tolist() == y.tolist()
    with pytest.raises(InputError, match="2 labels out of range, such as 3; wanted: 0 to 2, by the class names"):
        read(archive(tmp_path, arrays(y=y)), classes="names")
    with pytest.raises(InputError, match="1 labels out of range, such as -1; wanted: class indices from 0"):
        read(archive(tmp_path, arrays(y=np.array([0] * 9 + [-1]))))


@pytest.mark.parametrize("names", [np.array("g"), np.full((3, 2), "g")], ids=["no axis", "two axes"])
def test_class_names_of_another_shape(names: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shape \["):
        read(archive(tmp_path, arrays(names=names)), classes="names")


@pytest.mark.parametrize("rows", [(-1, 6), (5, 4), (0, 11), (11, 12)])
def test_rows_outside_the_data(rows: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"split 'train': rows {rows[0]} to {rows[1]}; wanted: rows within 0 to 10"):
        read(archive(tmp_path, arrays()), train=rows)


def test_an_empty_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="split 'test': empty; wanted: at least one row"):
        read(archive(tmp_path, arrays()), test=(4, 4))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10)), min_size=3, max_size=3))
def test_splits_share_no_row(pairs: list[tuple[int, int]]) -> None:
    rows = dict(zip(ROWS, pairs, strict=True))
    sets = [set(range(*pair)) for pair in pairs]
    shared = any(first & second for first, second in [sets[:2], sets[1:], sets[::2]])
    if not all(sets):
        with pytest.raises(InputError, match="split '"):
            made(arrays(), rows=rows)
    elif shared:
        with pytest.raises(InputError, match="overlap in rows"):
            made(arrays(), rows=rows)
    else:
        assert made(arrays(), rows=rows).rows == rows


@pytest.mark.parametrize("second", [(5, 8), (5, 20), (2, 3)])
def test_an_overlap_names_its_rows(second: tuple[int, int]) -> None:
    rows = {"train": (0, 7), "validation": second, "test": (20, 21)}
    content = {"x": np.zeros((30, 2)), "y": np.zeros(30, int)}
    last = min(7, second[1])
    with pytest.raises(InputError, match=f"'train' and 'validation': overlap in rows {second[0]} to {last};"):
        made(content, rows=rows)


def save_object(path: Path) -> None:
    np.savez(path, x=np.array([{}, []], dtype=object), y=np.zeros(2))


def save_single(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((10, 4)))


def save_text(path: Path) -> None:
    path.write_text("x,y\n1,2\n")


def save_nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("save", [save_object, save_single, save_text, save_nothing])
def test_files_of_another_kind(save: Callable[[Path], None], tmp_path: Path) -> None:
    save(tmp_path / "data.npz")
    with pytest.raises(InputError, match=r"data.npz: not a whole .npz file of plain numbers"):
        read(tmp_path / "data.npz")


@settings(deadline=None, max_examples=60)
@given(data=st.data(), compressed=st.booleans())
def test_a_truncated_or_damaged_archive(
    data: st.DataObject, compressed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "data.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays())
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InputError, match=r"data\.npz"):
        read(path)
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    try:
        read(path)
    except InputError as error:
        assert "data.npz" in str(error)
