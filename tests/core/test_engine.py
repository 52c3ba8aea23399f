"""The engine's handlers, asked in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dlcore.data.download import NotDownloaded, download, no_downloads
from dlcore.data.spec import DataContext
from dlcore.engine.catalogue import catalogue
from dlcore.engine.drafts import toml, validate
from dlcore.engine.engine import Engine, Inbox, Question
from dlcore.engine.protocol import Lines
from dlcore.engine.shapes import Shapes
from dlcore.engine.specs import Specs, stand_in
from dlcore.errors import UserError
from dlcore.json_lines import decode, encode
from dlcore.preset import REGISTRIES, loads
from dlcore.registry import DATA, MODELS, Entry

OWN_MODEL = """
import torch
from torch import nn

print("hello")


class Broken(nn.Module):
    '''A network whose flatten gives another size than its first dense layer wants.'''

    def __init__(self, spec, *, width: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(spec.input_shape[0], width, 3, padding=1)
        self.dense = nn.Linear(7, spec.num_outputs)

    def forward(self, inputs):
        return self.dense(self.conv(inputs).flatten(1))


class Raises(nn.Module):
    def __init__(self, spec):
        super().__init__()
        raise RuntimeError("no such thing")


class Exits(nn.Module):
    def __init__(self, spec):
        raise SystemExit(5)


def numbers(context, *, rows: int = 3):
    raise ValueError("the file is gone")
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file of the user's own."""
    path = tmp_path / "own_net.py"
    path.write_text(OWN_MODEL)
    return path


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """A handler whose data folder is empty."""
    monkeypatch.setenv("DLTUI_DATA", str(tmp_path / "nothing"))
    return Shapes(lambda: None)


def draft(
    model_name: str = "cnn", data_name: str = "digits", /, **sections: Mapping[str, Any]
) -> dict[str, Any]:
    """A question about these parts, with options for the sections named."""
    values: dict[str, Any] = {"data": {"name": data_name}, "model": {"name": model_name}}
    for section, options in sections.items():
        values[section] = values.get(section, {}) | dict(options)
    return {"values": values}


class TestCatalogue:
    def test_names_every_builder_with_its_options(self) -> None:
        told = catalogue()
        for section, registry in REGISTRIES.items():
            assert [entry["name"] for entry in told["builders"][section]] == registry.names()
            for entry in told["builders"][section]:
                fields = [field["name"] for field in entry["fields"]]
                assert fields == [field.name for field in registry.entry(entry["name"]).fields]

    def test_is_plain_data(self) -> None:
        written = json.dumps(catalogue(), allow_nan=False)  # raises on what JSON has no word for
        assert json.dumps(decode(written)) == written

    def test_says_why_a_model_cannot_take_data(self) -> None:
        assert catalogue()["misfits"]["model"]["cnn"]["iris"] == "cnn takes images, this has rows of numbers"

    def test_says_nothing_against_what_goes_together(self) -> None:
        misfits = catalogue()["misfits"]
        assert "digits" not in misfits["model"]["cnn"]
        assert "digits" not in misfits["task"]["classification"]

    def test_says_what_a_preset_need_not_name(self) -> None:
        preset = loads('[data]\nname="digits"\n[model]\nname="cnn"', "x", builders=False)
        names = {section: getattr(preset, section).name for section in ("task", "optimizer", "scheduler")}
        assert catalogue()["names"] == names


class TestValidate:
    def test_a_good_draft_has_no_faults(self) -> None:
        assert validate(draft())["faults"] == []

    def test_faults_have_places(self) -> None:
        told = validate(draft(model={"channels": [8, 0], "hiden": 3}, training={"epochs": "x"}))
        places = {tuple(place) for place, _ in told["faults"]}
        assert places == {("model", "channels"), ("model", "hiden"), ("training", "epochs")}
        assert len(told["lines"]) == 3

    def test_text_that_cannot_be_read_as_the_fields_type_is_a_fault_in_the_presets_words(self) -> None:
        ((place, message),) = validate(draft(optimizer={"lr": "fast"}))["faults"]
        assert (place, message) == (["optimizer", "lr"], "must be a number, got 'fast'")

    def test_parts_that_do_not_go_together_are_a_fault_of_the_data(self) -> None:
        ((place, message),) = validate(draft("cnn", "iris"))["faults"]
        assert place == ["data", "name"] and message.startswith("cnn takes images")

    def test_describes_the_users_own_builder(self, own: Path) -> None:
        entry = validate(draft(f"{own}:Broken"))["entries"]["model"]
        assert entry["summary"].startswith("A network whose flatten")
        assert [field["name"] for field in entry["fields"]][:2] == ["width", "weights"]

    @pytest.mark.parametrize("values", [None, [], {"data": 3}, {"data": {"name": 3}, "model": {}}, {"x": {}}])
    def test_any_values_are_answered(self, values: Any) -> None:
        assert validate({"values": values})["faults"]


class TestToml:
    def test_given_is_what_was_chosen(self) -> None:
        given = toml(draft(training={"epochs": 3}))["given"]
        assert given == '[data]\nname = "digits"\n\n[model]\nname = "cnn"\n\n[training]\nepochs = 3\n'

    def test_complete_spells_out_every_default_and_is_the_same_preset(self) -> None:
        told = toml(draft())
        assert "weight_decay = 0.01" in told["complete"]
        same = [loads(told[form], form, builders=True) for form in ("given", "complete")]
        assert same[0] == same[1]

    def test_there_is_no_complete_form_of_a_wrong_draft(self) -> None:
        assert toml(draft(training={"epochs": 0}))["complete"] is None


class TestShapes:
    def test_lists_every_layer_with_totals_and_memory(self, shapes: Shapes) -> None:
        question = draft("mlp", model={"widths": [16]}, training={"batch_size": 32})
        first, more = shapes.answer(question)
        assert more and "memory" not in first and first["device"]["fits"] is None  # the table does not wait
        told, more = whole(shapes, question)
        assert not more
        assert [row["outputs"] for row in told["rows"]][-2:] == [[(32, 10)], [()]]  # and the loss
        assert told["totals"]["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
        assert told["memory"]["peak"] > 4 * told["totals"]["parameter_bytes"]
        assert told["device"]["fits"] is True
        assert decode(encode(told)) is not None

    def test_a_first_guess_comes_before_the_data_is_read(self, shapes: Shapes) -> None:
        told, more = shapes.answer(draft())
        assert (told["data"]["state"], more) == ("reading", True)
        assert told["inputs"] == [(64, 1, 8, 8)]

    def test_a_batch_is_no_larger_than_the_training_part(self, shapes: Shapes) -> None:
        told, more = whole(shapes, draft("mlp", "iris", training={"batch_size": 4096}))
        assert not more and told["data"]["samples"][0] == told["totals"]["batch_size"] < 150

    def test_wrong_options_leave_no_table_and_say_why(self, shapes: Shapes) -> None:
        told, _ = shapes.answer(draft(model={"channels": "x"}))
        assert told["state"] == "wrong" and told["problems"][0].startswith("model.channels: ")

    def test_wrong_settings_elsewhere_do_not_hide_the_shapes(self, shapes: Shapes) -> None:
        told, _ = shapes.answer(draft(training={"epochs": "x", "batch_size": -3}, optimizer={"name": "nix"}))
        assert told["state"] == "ok" and told["totals"]["batch_size"] == 64

    def test_data_without_its_file_is_stood_in_for(self, shapes: Shapes) -> None:
        told, more = whole(shapes, draft("mlp", "csv"))
        assert told["memory"]["peak"] > 0  # of made-up samples, as the shapes are
        assert (told["state"], told["data"]["state"], more) == ("ok", "wrong", False)
        assert told["data"]["message"].startswith("data.path: is required")

    def test_data_that_is_not_downloaded_keeps_its_shape_and_is_not_fetched(self, shapes: Shapes) -> None:
        told, more = whole(shapes, draft("cnn", "cifar10"))
        assert (told["inputs"], told["data"]["state"], more) == ([(64, 3, 32, 32)], "absent", False)
        assert "not on this computer yet" in told["data"]["message"]

    def test_a_model_that_refuses_the_data_says_so(self, shapes: Shapes) -> None:
        told, _ = shapes.answer(draft(model={"channels": [4, 4, 4, 4]}))
        assert told["state"] == "failed" and told["failure"]["kind"] == "build"
        assert "too small" in told["failure"]["message"]

    def test_rows_before_a_mismatch_survive(self, shapes: Shapes, own: Path) -> None:
        told, _ = shapes.answer(draft(f"{own}:Broken"))
        assert [row["path"] for row in told["rows"]] == ["conv"]
        assert told["failure"]["path"] == "dense" and told["failure"]["inputs"] == [(64, 256)]
        assert "needs 7" in told["failure"]["message"] and "own_net.py" in told["failure"]["source"]

    def test_a_constructor_that_raises_is_shown_with_its_line(self, shapes: Shapes, own: Path) -> None:
        told, _ = shapes.answer(draft(f"{own}:Raises"))
        assert told["failure"]["message"] == "RuntimeError: no such thing"
        assert "raise RuntimeError" in told["failure"]["source"]

    def test_a_device_that_is_not_there_is_told(self, shapes: Shapes) -> None:
        told, _ = shapes.answer(draft(training={"device": "cuda:99"}))
        assert "cuda" in told["device"]["problem"] and told["state"] == "ok"

    def test_wrong_settings_count_as_their_defaults_in_the_memory(self, shapes: Shapes) -> None:
        right, _ = whole(shapes, draft("mlp"))
        wrong, _ = whole(shapes, draft("mlp", training={"ema": 7}, optimizer={"name": "nix"}))
        less, _ = whole(shapes, draft("mlp", optimizer={"name": "sgd", "momentum": 0.0}))
        assert wrong["memory"] == right["memory"]
        assert less["memory"]["optimizer"] == 0 < right["memory"]["optimizer"]

    def test_a_newer_question_breaks_the_working_out_off(self, tmp_path: Path) -> None:
        changes: list[int] = []
        waits = [False]
        shapes = Shapes(lambda: changes.append(1), lambda: waits[0])
        read(shapes, draft("mlp"))
        shapes.specs._changed = lambda: None
        shapes.answer(draft("mlp"))
        before, waits[0] = len(changes), True
        told, more = shapes.answer(draft("mlp"))
        assert more and "memory" not in told and len(changes) == before + 1  # it is to be asked again
        waits[0] = False
        told, more = shapes.answer(draft("mlp"))
        assert not more and told["memory"]["peak"] > 0

    def test_an_edited_file_is_traced_anew(self, shapes: Shapes, own: Path) -> None:
        before, _ = shapes.answer(draft(f"{own}:Broken"))
        own.write_text(OWN_MODEL.replace("nn.Linear(7", "nn.Linear(256"))
        after, _ = shapes.answer(draft(f"{own}:Broken"))
        assert (before["state"], after["state"]) == ("failed", "ok")


class TestSpecs:
    def test_reading_is_put_off_until_a_first_guess_has_been_told(self, tmp_path: Path) -> None:
        done = threading.Event()
        specs = Specs(tmp_path, done.set)
        entry = DATA.entry("iris")
        assert specs.get(entry, {}).state == "reading" and not done.is_set()
        specs.begin()
        assert done.wait(60)
        found = specs.get(entry, {})
        assert found.state == "read" and sum(found.samples) == 150

    def test_other_options_are_another_reading_with_the_last_spec_meanwhile(self, tmp_path: Path) -> None:
        specs = Specs(tmp_path, lambda: None)
        entry = DATA.entry("iris")
        first = settled(specs, entry, {"classes": ["setosa", "versicolor"]})
        meanwhile = specs.get(entry, {"classes": []})
        assert first.spec is not None and first.spec.num_outputs == 1
        assert meanwhile.spec is not None and meanwhile.spec.num_outputs in (1, 3)
        assert settled(specs, entry, {"classes": []}).spec.num_outputs == 3

    def test_a_file_that_changes_is_read_again(self, tmp_path: Path) -> None:
        specs = Specs(tmp_path, lambda: None)
        entry = DATA.entry("csv")
        file = tmp_path / "table.csv"
        columns = []
        for header, row in (("a,y", "{0},{2}"), ("a,b,y", "{0},{1},{2}")):
            file.write_text("\n".join([header, *(row.format(n % 7, n % 5, "uv"[n % 2]) for n in range(60))]))
            found = settled(specs, entry, entry.validate({"path": str(file)})[0])
            assert found.state == "read" and found.spec is not None, found.message
            columns.append(found.spec.input_shape)
        assert columns == [(1,), (2,)]

    def test_what_cannot_be_read_says_why(self, tmp_path: Path, own: Path) -> None:
        specs = Specs(tmp_path, lambda: None)
        missing = settled(specs, DATA.entry("csv"), {"path": "none.csv"})
        assert missing.state == "wrong" and "none.csv" in missing.message
        raises = settled(specs, DATA.entry(f"{own}:numbers"), {})
        assert raises.state == "wrong" and "ValueError: the file is gone" in raises.message

    @pytest.mark.parametrize(
        "name", [entry.name for entry in DATA.entries() if entry.group in ("bundled", "toy")]
    )
    def test_stand_ins_of_data_that_is_here_are_exact(self, name: str, tmp_path: Path) -> None:
        entry = DATA.entry(name)
        spec, guess = entry.build(DataContext(tmp_path)).spec, stand_in(entry)
        assert guess is not None
        for key in ("input", "input_shape", "input_dtype", "target"):
            assert getattr(guess, key) == getattr(spec, key), key
        if spec.input != "tokens":  # how many different tokens or languages there are only the text can tell
            assert guess.num_outputs == spec.num_outputs

    def test_every_registered_data_set_has_a_stand_in_that_some_model_takes(self) -> None:
        for entry in DATA.entries():
            spec = stand_in(entry)
            assert spec is not None, entry.name
            assert any(spec.input in model.inputs for model in MODELS.entries()), entry.name


class TestDownloads:
    def test_nothing_is_fetched_inside(self, tmp_path: Path) -> None:
        with no_downloads(), pytest.raises(NotDownloaded):
            download(["http://127.0.0.1:9/x"], tmp_path / "new" / "x", md5="", report=print)
        assert not (tmp_path / "new").exists()


class TestInbox:
    def test_a_newer_question_supersedes_those_of_its_kind(self) -> None:
        inbox = Inbox()
        first, other, second = Question(1, "shapes", {}), Question(2, "toml", {}), Question(3, "shapes", {})
        assert [inbox.put(question) for question in (first, other, second)] == [None, None, first]
        assert [inbox.take(0), inbox.take(0), inbox.take(0)] == [other, second, None]

    def test_a_repeated_question_gives_way_to_a_newer_one(self) -> None:
        inbox = Inbox()
        old, new = Question(1, "shapes", {}), Question(2, "shapes", {})
        inbox.put(new)
        assert inbox.put(old, again=True) == old
        assert inbox.take(0) == new


class TestEngine:
    @pytest.fixture
    def said(self) -> list[Mapping[str, Any]]:
        return []

    @pytest.fixture
    def engine(
        self, said: list[Mapping[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Engine:
        monkeypatch.setenv("DLTUI_DATA", str(tmp_path / "nothing"))
        return Engine(said.append)

    def test_says_when_it_begins_and_answers(self, engine: Engine, said: list[Any]) -> None:
        engine.work(Question(7, "validate", draft()))
        assert said[0] == {"working": 7}
        assert said[1]["id"] == 7 and said[1]["answer"]["faults"] == []

    def test_an_unknown_kind_is_an_error(self, engine: Engine, said: list[Any]) -> None:
        engine.work(Question(7, "nonsense", {}))
        assert "nonsense" in said[1]["error"][0]

    @pytest.mark.parametrize(
        "error", [UserError(["one", "two"]), KeyError("x"), SystemExit(3), RecursionError()]
    )
    def test_whatever_is_raised_is_an_answer(
        self, engine: Engine, said: list[Any], monkeypatch: pytest.MonkeyPatch, error: BaseException
    ) -> None:
        def fails(_: object) -> None:
            raise error

        monkeypatch.setitem(engine._handlers, "toml", fails)
        engine.work(Question(7, "toml", {}))
        assert said[1]["error"] and all(isinstance(line, str) for line in said[1]["error"])

    def test_a_better_answer_follows_a_first_guess(self, engine: Engine, said: list[Any]) -> None:
        engine.work(Question(1, "shapes", draft("mlp", "moons")))
        assert said[-1]["more"] is True
        question = engine.inbox.take(60)
        assert question is not None and question.id == 1
        engine.work(question)
        told = said[-1]["answer"]
        assert told["data"]["state"] == "read" and "memory" not in told
        question = engine.inbox.take(0)
        assert question is not None and question.id == 1
        engine.work(question)
        assert "more" not in said[-1] and said[-1]["answer"]["memory"]["peak"] > 0

    def test_superseded_questions_are_told(self, engine: Engine, said: list[Any]) -> None:
        for number in (1, 2):
            engine.receive(encode({"id": number, "ask": "toml"}).encode())
        assert said == [{"id": 1, "superseded": True}]

    @pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"ask": "toml"}', b'{"id": true}', b"\xff\xfe"])
    def test_what_is_no_question_is_passed_over(self, engine: Engine, said: list[Any], line: bytes) -> None:
        engine.receive(line)
        assert said == [] and engine.inbox.take(0) is None


class TestLines:
    def test_chunks_become_lines(self) -> None:
        lines = Lines()
        assert [list(lines.feed(chunk)) for chunk in (b"a", b"b\nc\n\nd", b"\n")] == [
            [],
            [b"ab", b"c"],
            [b"d"],
        ]

    def test_a_line_beyond_the_limit_is_left_out_and_counted(self) -> None:
        lines = Lines(limit=10)
        found = [
            line
            for chunk in (b"x" * 8, b"y" * 8, b"z" * 50, b"\nok\n" + b"w" * 12, b"\nend\n")
            for line in lines.feed(chunk)
        ]
        assert (found, lines.skipped) == ([b"ok", b"end"], 2)


def settled(specs: Specs, entry: Entry, options: Mapping[str, Any]) -> Any:
    """What is known once reading has ended."""
    found = specs.get(entry, options, wait=60)
    if found.state == "reading":
        specs.begin()
        found = specs.get(entry, options, wait=60)
    return found


def read(shapes: Shapes, question: Mapping[str, Any]) -> None:
    """Has the data of a question read."""
    done = threading.Event()
    shapes.specs._changed = done.set
    told, _ = shapes.answer(question)
    shapes.specs.begin()
    assert told["data"]["state"] != "reading" or done.wait(60)


def whole(shapes: Shapes, question: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The answer once the data has been read and the memory worked out."""
    read(shapes, question)
    shapes.answer(question)
    return shapes.answer(question)


class TestFixes:
    def test_come_with_the_second_answer_and_are_options_of_the_draft(self, shapes: Shapes) -> None:
        question = draft(model={"channels": [4, 4, 4, 4]})
        read(shapes, question)
        told, more = shapes.answer(question)
        if "fixes" not in told:
            assert more
            told, more = shapes.answer(question)
        assert not more
        assert told["fixes"][0]["set"] == {"model": {"channels": [4, 4, 4]}}
        mended, _ = shapes.answer(draft(model=told["fixes"][0]["set"]["model"]))
        assert mended["state"] == "ok"

    def test_are_patches_of_the_users_own_file(self, shapes: Shapes, own: Path) -> None:
        question = draft(f"{own}:Broken")
        read(shapes, question)
        shapes.answer(question)
        told, _ = shapes.answer(question)
        assert told["failure"]["marks"]
        assert told["fixes"] and told["fixes"][0]["diff"].startswith("--- a/")

    def test_engine_asks_itself_again_for_them(self) -> None:
        said: list[Mapping[str, Any]] = []
        engine = Engine(said.append)
        question = Question(7, "shapes", draft(model={"channels": [4, 4, 4, 4]}))
        engine.inbox.put(question)
        for _ in range(20):
            waiting = engine.inbox.take(5.0)
            assert waiting is not None, said
            engine.work(waiting)
            if "fixes" in said[-1].get("answer", {}):
                break
        assert said[-1]["answer"]["fixes"] and "more" not in said[-1]

    def test_the_calculator_is_asked_like_all_else(self) -> None:
        said: list[Mapping[str, Any]] = []
        engine = Engine(said.append)
        engine.work(Question(3, "shape", {"text": "Linear(?, 10)", "input": "8x64"}))
        assert said[-1]["answer"]["solved"] == "Linear(64, 10)"
