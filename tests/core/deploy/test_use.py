"""A trained network evaluated and asked, through files as users have them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from dlcore import trained
from dlcore.data.preprocess import normaliser
from dlcore.data.spec import TensorPart
from dlcore.deploy.evaluate import evaluate
from dlcore.deploy.inputs import Unreadable
from dlcore.deploy.predict import Answer, predict
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import DIABETES, DIGITS, IRIS, MOONS, SCENES, TRAINING, train_text

TrainedOnce = Callable[[str], RunDir]


def write_digits(found: trained.Trained, folder: Path) -> None:
    """The test part as PNG files, a folder a class."""
    test = found.data().test
    assert isinstance(test, TensorPart)
    for at, (pixels, code) in enumerate(zip(test.inputs, test.targets.tolist(), strict=True)):
        place = folder / found.spec.class_names[code]
        place.mkdir(exist_ok=True, parents=True)
        scaled = (pixels[0].float() * 255 / 16).round().byte()
        Image.fromarray(scaled.numpy()).save(place / f"{at:04d}.png")


def write_rows(found: trained.Trained, path: Path) -> None:
    """The test part as a CSV in the units of the raw data, with the answers in the last column."""
    test, facts = found.data().test, found.spec.preprocessing
    assert isinstance(test, TensorPart)
    raw = test.inputs.double() * torch.tensor(facts["std"]).double() + torch.tensor(facts["mean"]).double()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*found.spec.feature_names, "target"])
        for row, target in zip(raw.tolist(), test.targets.tolist(), strict=True):
            answer = target[0] if isinstance(target, list) else found.spec.class_names[target]
            writer.writerow([*row, answer])


@pytest.mark.parametrize("text", [IRIS, MOONS, DIABETES], ids=["classes", "yes or no", "numbers"])
def test_rows_of_the_test_split_give_the_test_metrics(
    text: str, trained_once: TrainedOnce, tmp_path: Path
) -> None:
    run = trained_once(text)
    found = trained.load(run)
    write_rows(found, tmp_path / "test.csv")
    again = evaluate(found, other=str(tmp_path / "test.csv"))["metrics"]
    recorded = run.summary().metrics
    assert {f"test/{name}": again[name] for name in again if f"test/{name}" in recorded} == pytest.approx(
        {name: value for name, value in recorded.items() if name.startswith("test/")}, rel=1e-4
    )
    answers = list(predict(found, [str(tmp_path / "test.csv")]))
    truth = [row["target"] for row in csv.DictReader((tmp_path / "test.csv").read_text().splitlines())]
    given = [each.content["prediction"] for each in answers if isinstance(each, Answer)]
    if found.spec.target == "number":
        error = sum(abs(a - float(b)) for a, b in zip(given, truth, strict=True)) / len(truth)
        assert error == pytest.approx(recorded["test/mae"], rel=1e-4)
    else:
        right = sum(a == b for a, b in zip(given, truth, strict=True)) / len(truth)
        assert right == pytest.approx(recorded["test/accuracy"])


def test_pictures_of_the_test_split_give_the_test_metrics(trained_once: TrainedOnce, tmp_path: Path) -> None:
    run = trained_once(DIGITS)
    found = trained.load(run)
    write_digits(found, tmp_path)
    recorded = run.summary().metrics["test/accuracy"]
    assert evaluate(found, other=str(tmp_path))["metrics"]["accuracy"] == pytest.approx(recorded)
    answers = list(predict(found, [str(tmp_path)]))
    right = sum(Path(a.name).parent.name == a.content["prediction"] for a in answers if isinstance(a, Answer))
    assert right / len(answers) == pytest.approx(recorded)


@pytest.mark.parametrize("text", [IRIS, MOONS, DIABETES, DIGITS, SCENES])
def test_an_evaluation_repeats_the_recorded_figures_and_is_plain_data(
    text: str, trained_once: TrainedOnce
) -> None:
    run = trained_once(text)
    result = evaluate(trained.load(run))
    recorded = run.summary().metrics
    for name, value in recorded.items():
        if name.startswith("test/"):
            assert result["metrics"][name.removeprefix("test/")] == pytest.approx(value, rel=1e-5), name
    assert result["split"] == "test"
    assert result["report"]
    assert json.loads(json.dumps(result)) == result


def test_a_single_row_without_names_is_read(trained_once: TrainedOnce, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("5.1,3.5,1.4,0.2\n")
    (answer,) = predict(trained.load(trained_once(IRIS)), [str(tmp_path / "a.csv")])
    assert isinstance(answer, Answer)
    assert answer.name == f"{tmp_path / 'a.csv'}:1"


def test_the_part_can_be_chosen(trained_once: TrainedOnce) -> None:
    found = trained.load(trained_once(IRIS))
    assert evaluate(found, split="val")["samples"] == len(found.data().val)
    with pytest.raises(UserError, match="say train, val or test"):
        evaluate(found, split="tset")


OWN = (
    '[data]\nname = "csv"\npath = "people.csv"\ntarget = "paid"\n'
    '[model]\nname = "mlp"\nwidths = [8]\n' + TRAINING
)


@pytest.fixture(scope="module")
def own_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[trained.Trained]:
    """A run of a CSV with a category, a gap and an answer; the CSV itself is gone."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rows = [
            f"{at % 60},{'north' if at % 3 else 'south'},{'yes' if at % 60 > 30 else 'no'}"
            for at in range(200)
        ]
        rows[7] = ",north,no"
        (folder / "people.csv").write_text("age,home,paid\n" + "\n".join(rows) + "\n")
        run = train_text(OWN, folder / "runs", base=folder)
        (folder / "people.csv").unlink()
        yield trained.load(run)


class TestOwnTable:
    def ask(self, found: trained.Trained, path: Path, text: str) -> list[Answer | Unreadable]:
        path.write_text(text)
        return list(predict(found, [str(path)]))

    def test_needs_no_answer_and_no_order(self, own_table: trained.Trained, tmp_path: Path) -> None:
        (first, second) = self.ask(own_table, tmp_path / "a.csv", "home,age\nnorth,55\nsouth,3\n")
        (again, _) = self.ask(
            own_table, tmp_path / "b.csv", "paid,age,home,more\nyes,55,north,1\nno,3,south,2\n"
        )
        assert isinstance(first, Answer)
        assert isinstance(again, Answer)
        assert isinstance(second, Answer)
        assert first.content == again.content
        assert first.content["prediction"] in ("yes", "no")
        assert sum(first.content["probabilities"].values()) == pytest.approx(1)
        assert first.name == f"{tmp_path / 'a.csv'}:2"

    def test_a_category_never_seen_and_a_gap_are_answered(
        self, own_table: trained.Trained, tmp_path: Path
    ) -> None:
        answers = self.ask(own_table, tmp_path / "a.csv", "age,home\n20,east\n,north\n")
        assert all(isinstance(each, Answer) for each in answers)

    def test_a_bad_row_is_named_and_the_others_are_answered(
        self, own_table: trained.Trained, tmp_path: Path
    ) -> None:
        answers = self.ask(own_table, tmp_path / "a.csv", "age,home\n20,north\nold,north\n30,south\n")
        assert [type(each) for each in answers] == [Answer, Unreadable, Answer]
        assert answers[1] == (f"{tmp_path / 'a.csv'}:3", "column 'age' should hold numbers, got 'old'")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"age,where\n3,north\n", "lacks the column 'home'; it has age, where"),
            (b"", "is empty"),
            (b"age,home\n3\n", "line 2 has 1 cell"),
            (b"age,home\n3,\xff\xfe\n", "is not utf-8 text"),
            (b"\x00\x01\x02\x00", "zero bytes"),
        ],
    )
    def test_a_bad_file_is_one_reason(
        self, own_table: trained.Trained, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        (tmp_path / "a.csv").write_bytes(content)
        (answer,) = predict(own_table, [str(tmp_path / "a.csv")])
        assert isinstance(answer, Unreadable)
        assert reason in answer.reason

    def test_its_data_is_gone_and_that_is_one_sentence(self, own_table: trained.Trained) -> None:
        with pytest.raises(UserError, match=r"people\.csv"):
            evaluate(own_table)

    def test_classes_that_were_never_trained_are_left_out_of_an_evaluation(
        self, own_table: trained.Trained, tmp_path: Path
    ) -> None:
        (tmp_path / "a.csv").write_text("age,home,paid\n20,north,yes\n30,south,perhaps\n")
        result = evaluate(own_table, other=str(tmp_path / "a.csv"))
        assert result["samples"] == 1
        assert "class 'perhaps' was not in the training" in result["notes"][-1]


class TestPictures:
    def answers(self, run: RunDir, *paths: Path) -> list[Answer | Unreadable]:
        return list(predict(trained.load(run), [str(path) for path in paths]))

    @pytest.mark.parametrize(
        ("mode", "size"), [("RGB", (8, 8)), ("L", (40, 17)), ("RGBA", (3, 200)), ("P", (9, 9))]
    )
    def test_any_size_and_colour_is_answered(
        self, trained_once: TrainedOnce, tmp_path: Path, mode: str, size: tuple[int, int]
    ) -> None:
        Image.new(mode, size).save(tmp_path / "a.png")
        (answer,) = self.answers(trained_once(DIGITS), tmp_path / "a.png")
        assert isinstance(answer, Answer)

    def test_grey_is_answered_where_colour_was_trained_on(self, tmp_path: Path) -> None:
        for at in range(30):
            place = tmp_path / "pictures" / ("red" if at % 2 else "blue")
            place.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 12), (200, at, 0) if at % 2 else (0, at, 200)).save(place / f"{at}.png")
        text = f'[data]\nname = "folder"\npath = "{tmp_path / "pictures"}"\nimage_size = 8\n'
        run = train_text(text + '[model]\nname = "mlp"\nwidths = [4]\n' + TRAINING, tmp_path / "runs")
        for mode in ("L", "1", "RGBA"):
            Image.new(mode, (30, 20)).save(tmp_path / f"{mode}.png")
        found = self.answers(run, *(tmp_path / f"{mode}.png" for mode in ("L", "1", "RGBA")))
        assert all(isinstance(each, Answer) for each in found)

    def test_a_huge_picture_is_refused_before_it_is_unpacked(
        self, trained_once: TrainedOnce, tmp_path: Path
    ) -> None:
        Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
        assert (tmp_path / "huge.png").stat().st_size < 1_000_000
        (answer,) = self.answers(trained_once(DIGITS), tmp_path / "huge.png")
        assert isinstance(answer, Unreadable)
        assert "pixels" in answer.reason

    def test_bad_files_are_named_and_the_others_are_answered(
        self, trained_once: TrainedOnce, tmp_path: Path
    ) -> None:
        Image.new("L", (8, 8)).save(tmp_path / "good.png")
        (tmp_path / "empty.png").write_bytes(b"")
        (tmp_path / "torn.png").write_bytes((tmp_path / "good.png").read_bytes()[:40])
        folder = tmp_path / "none"
        folder.mkdir()
        names = ["empty.png", "good.png", "torn.png", "gone.png", "none"]
        found = self.answers(trained_once(DIGITS), *(tmp_path / name for name in names))
        assert [type(each).__name__ for each in found] == ["Unreadable", "Answer", *["Unreadable"] * 3]
        reasons = [each.reason for each in found if isinstance(each, Unreadable)]
        assert reasons[0] == "not a picture"
        assert reasons[2] == "No such file or directory"
        assert reasons[3] == "the folder holds no picture"

    def test_the_preprocessing_is_the_trained_one(self, trained_once: TrainedOnce, tmp_path: Path) -> None:
        found = trained.load(trained_once(DIGITS))
        pixels = torch.arange(64, dtype=torch.uint8).view(8, 8) * 4
        Image.fromarray(pixels.numpy()).save(tmp_path / "a.png")
        (answer,) = predict(found, [str(tmp_path / "a.png")])
        inputs = normaliser(found.spec.preprocessing)(pixels[None, None].float() * 16 / 255)
        probabilities = found.task.model(inputs).softmax(1)[0].tolist()
        assert isinstance(answer, Answer)
        assert list(answer.content["probabilities"].values()) == pytest.approx(probabilities, abs=1e-6)

    def test_a_segmentation_answers_with_a_mask_of_the_pictures_size(
        self, trained_once: TrainedOnce, tmp_path: Path
    ) -> None:
        Image.new("L", (48, 48), 90).save(tmp_path / "a.png")
        (answer,) = self.answers(trained_once(SCENES), tmp_path / "a.png")
        assert isinstance(answer, Answer)
        assert len(answer.content["picture"]) == len(answer.content["picture"][0]) == 48
        assert sum(answer.content["shares"].values()) == pytest.approx(1)
