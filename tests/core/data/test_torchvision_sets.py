"""MNIST and its kin, CIFAR: read from torchvision's layout, downloaded when absent, no code unpickled."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import pickle
import struct
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dlcore.data import torchvision_sets
from dlcore.data.idx import read_idx
from dlcore.data.spec import Data, DataContext, TensorPart
from dlcore.errors import UserError
from dlcore.registry import DATA

RNG = np.random.default_rng(0)
FILES = torchvision_sets.IDX_FILES


def idx(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def idx_contents() -> dict[str, bytes]:
    return {
        FILES[0]: idx(RNG.integers(0, 256, (200, 6, 6), dtype=np.uint8)),
        FILES[1]: idx(np.arange(200, dtype=np.uint8) % 10),
        FILES[2]: idx(RNG.integers(0, 256, (30, 6, 6), dtype=np.uint8)),
        FILES[3]: idx(np.arange(30, dtype=np.uint8) % 10),
    }


def write_idx(folder: Path, contents: dict[str, bytes], *, packed: bool = True) -> None:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(
            gzip.compress(content) if packed else content
        )


def build(name: str, folder: Path, report: Any = print, **options: Any) -> Data:
    data = DATA.build(name, DataContext(folder, report=report), **options)
    assert isinstance(data, Data)
    return data


def inputs(part: Any) -> torch.Tensor:
    assert isinstance(part, TensorPart)
    return part.inputs


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    write_idx(tmp_path / "MNIST" / "raw", idx_contents())
    return tmp_path


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and where a web server offers it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    folder = tmp_path_factory.mktemp("served")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def offer_idx(monkeypatch: pytest.MonkeyPatch, folder: Path, mirrors: list[str]) -> None:
    sources = {}
    for name, content in idx_contents().items():
        packed = gzip.compress(content)
        (folder / f"{name}.gz").write_bytes(packed)
        md5 = hashlib.md5(packed, usedforsecurity=False).hexdigest()
        sources[f"{name}.gz"] = ([f"{mirror}{name}.gz" for mirror in mirrors], md5)
    monkeypatch.setattr(torchvision_sets, "_idx_sources", lambda name: sources)


def test_mnist_is_read_without_torchvision_and_without_writing(mnist_folder: Path) -> None:
    before = sorted(mnist_folder.rglob("*"))
    (mnist_folder / "MNIST" / "raw").chmod(0o500)
    loaded = "torchvision" in sys.modules
    data = build("mnist", mnist_folder, val=0.1)
    assert ("torchvision" in sys.modules) == loaded
    assert sorted(mnist_folder.rglob("*")) == before
    assert [len(part) for part in (data.train, data.val, data.test) if part] == [180, 20, 30]
    assert data.spec.input_shape == (1, 6, 6) and data.spec.class_names == tuple("0123456789")
    assert inputs(data.train).dtype == torch.uint8


def test_the_validation_part_has_every_class_in_its_share(mnist_folder: Path) -> None:
    data = build("mnist", mnist_folder, val=0.1)
    assert isinstance(data.val, TensorPart)
    assert torch.bincount(data.val.targets).tolist() == [2] * 10
    assert data.spec.class_counts == (18,) * 10


def test_unpacked_files_serve_as_well(tmp_path: Path, mnist_folder: Path) -> None:
    contents = {
        name: gzip.decompress((mnist_folder / "MNIST/raw" / f"{name}.gz").read_bytes()) for name in FILES
    }
    write_idx(tmp_path / "plain" / "MNIST" / "raw", contents, packed=False)
    packed, plain = build("mnist", mnist_folder), build("mnist", tmp_path / "plain")
    assert torch.equal(inputs(packed.train), inputs(plain.train))


def test_digits_may_be_named_as_numbers() -> None:
    values, problems = DATA.entry("mnist").validate({"classes": [3, 5]})
    assert not problems
    assert values["classes"] == ["3", "5"]


def test_a_limit_trains_on_so_many_of_every_class(mnist_folder: Path) -> None:
    data = build("mnist", mnist_folder, limit=50)
    assert isinstance(data.train, TensorPart)
    assert torch.bincount(data.train.targets).tolist() == [5] * 10
    assert len(data.val) == 20


def test_statistics_come_from_the_training_part(mnist_folder: Path) -> None:
    data = build("mnist", mnist_folder)
    train = inputs(data.train).double() / 255
    assert data.spec.preprocessing["mean"] == pytest.approx([train.mean().item()])
    assert data.spec.preprocessing["std"] == pytest.approx([train.std(correction=0).item()])


def test_fashion_has_names_for_its_classes(tmp_path: Path) -> None:
    write_idx(tmp_path / "FashionMNIST" / "raw", idx_contents())
    assert build("fashion", tmp_path).spec.class_names[9] == "ankle boot"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not an idx file"),
        (b"\0\0\x0d\x01" + b"\0" * 8, "not an idx file"),
        (idx(np.zeros(100, np.uint8))[:-1], "cut short"),
        (struct.pack(">HBB4I", 0, 8, 4, *[2**16] * 4), "refused"),
        (gzip.compress(idx(np.arange(100, dtype=np.uint8)), mtime=0)[:40], "cut short"),
        (b"\x1f\x8b\x08" + b"\xff" * 40, "damaged"),
        (b"\0\0\x08\x03\0\0", "damaged"),
    ],
    ids=["empty", "other type", "short", "too large", "short gzip", "bad gzip", "no sizes"],
)
def test_a_bad_idx_file_is_a_sentence_with_its_path(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "bad.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=what) as caught:
        read_idx(path)
    assert len(caught.value.lines) == 1 and str(path) in str(caught.value)


def test_files_that_do_not_belong_together_are_a_sentence(mnist_folder: Path) -> None:
    labels = mnist_folder / "MNIST" / "raw" / f"{FILES[1]}.gz"
    labels.write_bytes(gzip.compress(idx(np.zeros(7, np.uint8))))
    with pytest.raises(UserError, match="do not belong together"):
        build("mnist", mnist_folder)


def test_missing_files_are_downloaded_with_progress(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_idx(monkeypatch, served[0], ["http://127.0.0.1:9/", served[1]])  # the first mirror is dead
    lines: list[str] = []
    data = build("mnist", tmp_path / "new", report=lines.append)
    assert len(data.train) == 180
    assert any(line.startswith("downloading train-images-idx3-ubyte.gz: ") for line in lines)
    folder = tmp_path / "new" / "MNIST" / "raw"
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.gz" for name in FILES)


def test_a_download_that_is_not_the_file_is_refused_and_leaves_nothing(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_idx(monkeypatch, served[0], [served[1]])
    (served[0] / f"{FILES[0]}.gz").write_bytes(b"<html>please log in</html>")
    with pytest.raises(UserError, match="not the expected file"):
        build("mnist", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_offline_one_sentence_names_files_and_folder(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_idx(monkeypatch, served[0], ["http://127.0.0.1:9/"])
    with pytest.raises(UserError) as caught:
        build("mnist", tmp_path)
    (sentence,) = caught.value.lines
    assert all(f"{name}.gz" in sentence for name in FILES)
    assert str(tmp_path / "MNIST" / "raw") in sentence and "DLTUI_DATA" in sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="DLTUI_DATA"):
        build("cifar10", tmp_path)


def test_torchvision_knows_where_every_file_comes_from() -> None:
    for name in ("MNIST", "FashionMNIST"):
        sources = torchvision_sets._idx_sources(name)
        assert {f"{file}.gz" for file in FILES} == set(sources)
        assert all(urls and len(md5) == 32 for urls, md5 in sources.values())
    for name, file in (("CIFAR10", "cifar-10-python.tar.gz"), ("CIFAR100", "cifar-100-python.tar.gz")):
        assert list(torchvision_sets._cifar_source(name)) == [file]


def cifar_files(ten: bool) -> dict[str, bytes]:
    def batch(count: int, classes: int) -> dict[str, Any]:
        labels = [number % classes for number in range(count)]
        rows = RNG.integers(0, 256, (count, 3072), dtype=np.uint8)
        return {"data": rows, "labels" if ten else "fine_labels": labels}

    if ten:
        contents: dict[str, Any] = {f"data_batch_{number}": batch(20, 10) for number in range(1, 6)}
        contents |= {
            "test_batch": batch(10, 10),
            "batches.meta": {"label_names": [f"class_{n}" for n in range(10)]},
        }
    else:
        names = [f"class_{number}" for number in range(100)]
        contents = {"train": batch(300, 100), "test": batch(100, 100), "meta": {"fine_label_names": names}}
    return {name: pickle.dumps(content, protocol=2) for name, content in contents.items()}


def write_tar(path: Path, folder: str, contents: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "folder", "counts"),
    [("cifar10", "cifar-10-batches-py", [90, 10, 10]), ("cifar100", "cifar-100-python", [200, 100, 100])],
)
def test_cifar_is_read_from_its_archive_and_then_from_its_folder(
    tmp_path: Path, name: str, folder: str, counts: list[int]
) -> None:
    contents = cifar_files(name == "cifar10")
    archive = tmp_path / f"{name.replace('cifar', 'cifar-')}-python.tar.gz"
    write_tar(archive, folder, contents | {"../escape": b"outside"})
    val = 0.1 if name == "cifar10" else 1 / 3
    first = build(name, tmp_path, val=val)
    assert sorted(path.name for path in (tmp_path / folder).iterdir()) == sorted(contents)
    assert not (tmp_path / "escape").exists()
    archive.unlink()
    second = build(name, tmp_path, val=val)
    assert torch.equal(inputs(first.train), inputs(second.train))
    assert [len(part) for part in (second.train, second.val, second.test) if part] == counts
    assert second.spec.input_shape == (3, 32, 32) and second.spec.class_names[1] == "class 1"


def test_cifar_pixels_keep_their_place(tmp_path: Path) -> None:
    contents = cifar_files(ten=True)
    write_tar(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", contents)
    test = build("cifar10", tmp_path).test
    expected = pickle.loads(contents["test_batch"])["data"].reshape(-1, 3, 32, 32)
    np.testing.assert_array_equal(inputs(test).numpy(), expected)


def python_2_pickle(rows: NDArray[np.uint8], labels: list[int]) -> bytes:
    """What Python 2's numpy wrote, as in the published files: byte strings, old names, integer flags."""
    raw = rows.tobytes()
    return (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01" + b"".join(b"J" + struct.pack("<i", size) for size in rows.shape) + b"\x86"
        + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
        + b"U\x06labels](" + b"".join(b"K" + bytes([label]) for label in labels) + b"eu."
    )  # fmt: skip


def test_the_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    contents = cifar_files(ten=True)
    rows = RNG.integers(0, 256, (10, 3072), dtype=np.uint8)
    contents["test_batch"] = python_2_pickle(rows, list(range(10)))
    write_tar(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", contents)
    test = build("cifar10", tmp_path).test
    np.testing.assert_array_equal(inputs(test).numpy(), rows.reshape(-1, 3, 32, 32))


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploited",)


@pytest.mark.parametrize("bad", [pickle.dumps(Exploit()), b"garbage", pickle.dumps([1]), b""])
def test_a_swapped_cifar_file_runs_no_code(
    tmp_path: Path, bad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tar(tmp_path / "cifar-10-python.tar.gz", "x", cifar_files(ten=True) | {"data_batch_3": bad})
    with pytest.raises(UserError, match="data_batch_3"):
        build("cifar10", tmp_path)
    assert not (tmp_path / "exploited").exists()


def test_a_damaged_archive_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"\x1f\x8bnot really")
    with pytest.raises(UserError, match="damaged"):
        build("cifar10", tmp_path)


def test_real_mnist(real_data: Path) -> None:
    data = build("mnist", real_data)
    assert [len(part) for part in (data.train, data.val, data.test) if part] == [54_000, 6_000, 10_000]
    assert data.spec.preprocessing["mean"] == pytest.approx([0.1307], abs=1e-3)
    assert data.spec.preprocessing["std"] == pytest.approx([0.3081], abs=1e-3)
