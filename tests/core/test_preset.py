from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlcore.preset
from dlcore.errors import UserError
from dlcore.preset import (
    Named,
    Preset,
    PresetError,
    Training,
    dump,
    find,
    load,
    loads,
    pitfalls,
    section_fields,
    shipped,
)
from dlcore.preset.sections import FIXED, SECTIONS
from tests.core.preset_builders import REGISTRIES

HEAD = '[data]\nname = "digits"\n[model]\nname = "cnn"\n'


def preset_of(text: str, overrides: Sequence[str] = (), builders: bool = True) -> Preset:
    return loads(text, "x.toml", overrides, builders=builders, registries=REGISTRIES)


def errors_of(text: str, overrides: Sequence[str] = (), builders: bool = True) -> list[str]:
    with pytest.raises(PresetError) as caught:
        preset_of(text, overrides, builders)
    assert all(line.isprintable() for line in caught.value.lines)
    return list(caught.value.lines)


class TestDefaults:
    def test_only_data_and_model_must_be_named(self) -> None:
        preset = preset_of(HEAD, builders=False)
        assert (preset.task.name, preset.optimizer.name, preset.scheduler.name) == (
            "auto",
            "adamw",
            "constant",
        )
        assert preset.training == Training()

    def test_builders_spell_out_all_their_options(self) -> None:
        preset = preset_of(HEAD)
        assert preset.data.options == {"val": 0.1, "test": 0.2, "classes": []}
        assert preset.optimizer.options == {"lr": 0.001, "betas": [0.9, 0.999], "decay": 0.01}
        assert preset.scheduler.options == {"warmup": 0}

    def test_without_builders_options_stay_unread(self) -> None:
        preset = preset_of(HEAD + "nonsense = 3", builders=False)
        assert preset.model == Named(name="cnn", options={"nonsense": 3})

    def test_automatic_task_keeps_its_name(self) -> None:
        preset = preset_of(HEAD + "[task]\nlabel_smoothing = 0.1")
        assert preset.task == Named(name="auto", options={"label_smoothing": 0.1})

    def test_an_option_may_be_called_options(self) -> None:
        assert preset_of(HEAD + "options = 3", builders=False).model.options == {"options": 3}


class TestErrors:
    def test_all_come_at_once_in_the_order_of_the_file(self) -> None:
        text = """\
[model]
chanels = [32]
name = "cnn"
hidden = nan
channels = [
    32,
    -1,
]
[optimizer]
name = "adamm"
lr = 0
[training]
epochs = -1
batch_size = "ten"
precision = "fp64"
device = "gpu"
seed = 2020-01-01
[trainign]
"""
        assert errors_of(text, ["training.ema=2", "model.dropout=1"]) == [
            "x.toml:2: model.chanels: unknown key; did you mean 'channels'? "
            "(allowed: channels, hidden, dropout, pool, size, pad, bias)",
            "x.toml:4: model.hidden: must be a finite number, got nan",
            "x.toml:5: model.channels: entry 2: must be at least 1, got -1",
            "x.toml:10: optimizer.name: unknown optimizer 'adamm'; did you mean 'adamw'? "
            "(allowed: adamw, sgd, or your own 'file.py:Name')",
            "x.toml:13: training.epochs: must be at least 1, got -1",
            "x.toml:14: training.batch_size: must be a whole number or auto, got 'ten'",
            "x.toml:15: training.precision: must be one of auto, fp32, bf16, fp16; got 'fp64'",
            "x.toml:16: training.device: must be one of auto, cpu, cuda, cuda:N, mps; got 'gpu'",
            'x.toml:17: training.seed: dates and times are not used here; write it as text: "2020-01-01"',
            "x.toml:18: trainign: unknown section; did you mean 'training'? "
            "(allowed: about, data, model, task, optimizer, scheduler, training, checkpoint, inspection)",
            "x.toml: data.name: is required ('dltui data' lists the names)",
            "--set training.ema=2: training.ema: must be below 1, got 2",
            "--set model.dropout=1: model.dropout: must be below 1, got 1",
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("lr = 1\n", "5: model.lr: unknown key; did you mean optimizer.lr?"),
            ("[training]\nlr = 1", "6: training.lr: unknown key; did you mean optimizer.lr?"),
            ("[training]\nkeep = 3", "6: training.keep: unknown key; did you mean checkpoint.keep?"),
            ("[[training]]\nepochs = 3", "5: training: must be a table, got a list of 1"),
            ("[training]\nepochs = 1e999", "6: training.epochs: must be a finite number, got inf"),
            ("[task]\nname = 3", "6: task.name: must be text, got 3"),
            ("[task]\nname = ''", "6: task.name: must not be empty"),
            (
                "[task]\nlabel_smothing = 0.1",
                "6: task.label_smothing: unknown key; did you mean 'label_smoothing'? "
                "(allowed: label_smoothing)",
            ),
            ("[checkpoint]\nkeep = 1", "6: checkpoint.keep: must be at least 2, got 1"),
            ("size = [1, -inf]", "5: model.size: entry 2: must be a finite number, got -inf"),
            (
                "[about]\ntry = [{say = 'x'},\n{say = 'y', sett = []}]",
                "7: about.try: entry 2, key sett: unknown key; did you mean 'set'? (allowed: say, set)",
            ),
            ("[about]\ntry = [\n{set = ['a=1']}]", "7: about.try: entry 1, key say: is required"),
            (
                '"\\u001b[31m" = 1',
                r"5: model.'\x1b[31m': unknown key "
                "(allowed: channels, hidden, dropout, pool, size, pad, bias)",
            ),
        ],
    )
    def test_say_where_and_what(self, text: str, message: str) -> None:
        assert errors_of(HEAD + text) == [f"x.toml:{message}"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("epochs = 3", "epochs: must stand in a section; did you mean training.epochs?"),
            ("training = 3", "training: must be a table, got 3"),
            ("task = 3", "task: must be a table, got 3"),
        ],
    )
    def test_say_what_stands_outside_a_section(self, text: str, message: str) -> None:
        assert errors_of(f"{text}\n{HEAD}") == [f"x.toml:1: {message}"]

    def test_point_at_a_misspelt_name(self) -> None:
        text = '[data]\nname="digits"\n[model]\nnmae="cnn"'
        assert errors_of(text) == ["x.toml:3: model.name: is required; is 'nmae' misspelt?"]

    def test_what_is_required_is_looked_for_in_its_section(self) -> None:
        assert errors_of('[model]\nname="cnn"\n[data]\nname="csv"') == [
            "x.toml:3: data.path: is required: of the file"
        ]

    def test_are_told_by_place_for_a_form(self) -> None:
        with pytest.raises(PresetError) as caught:
            preset_of(HEAD + "hidden = 0\n[training]\nepochs = 0")
        assert caught.value.faults == {
            ("training", "epochs"): "must be at least 1, got 0",
            ("model", "hidden"): "must be at least 1, got 0",
        }

    def test_beyond_fifty_are_counted(self) -> None:
        lines = errors_of(HEAD + "".join(f"key{number} = 1\n" for number in range(60)))
        assert len(lines) == 51 and lines[-1] == "x.toml: … and 10 more like these"

    def test_hold_no_control_character_of_the_source(self) -> None:
        with pytest.raises(PresetError) as caught:
            loads("x", "\x1b]0;evil\x07.toml", builders=False)
        assert caught.value.lines[0].startswith(r"\x1b]0;evil\x07.toml:1: ")

    def test_without_builders_the_structure_is_still_checked(self) -> None:
        assert errors_of(
            "[model]\nname = 'x'\n[data]\nname = 'y'\n[training]\nepochs = 0", builders=False
        ) == ["x.toml:6: training.epochs: must be at least 1, got 0"]


class TestUserBuilders:
    def test_are_found_beside_the_preset(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.path", list(sys.path))
        (tmp_path / "net.py").write_text("def net(spec, *, width: int = 3): return width")
        (tmp_path / "mine.toml").write_text(HEAD.replace("cnn", "net.py:net"))
        preset = load(tmp_path / "mine.toml", builders=True, registries=REGISTRIES)
        assert preset.model == Named(name="net.py:net", options={"width": 3})

    def test_are_held_to_the_same_checks(self, tmp_path: Path) -> None:
        (tmp_path / "bad.py").write_text("x = 1\nraise RuntimeError('no')\n")
        (tmp_path / "mine.toml").write_text(HEAD.replace("cnn", "bad.py:net"))
        with pytest.raises(PresetError) as caught:
            load(tmp_path / "mine.toml", builders=True, registries=REGISTRIES)
        assert caught.value.lines == (
            f"{tmp_path}/mine.toml:4: model.name: 'bad.py' failed at import, line 2: RuntimeError: no",
        )

    def test_do_not_run_without_builders(self, tmp_path: Path) -> None:
        (tmp_path / "bad.py").write_text("raise RuntimeError('no')")
        (tmp_path / "mine.toml").write_text(HEAD.replace("cnn", "bad.py:net"))
        assert load(tmp_path / "mine.toml", builders=False).model.name == "bad.py:net"


class TestOverrides:
    @pytest.mark.parametrize(
        ("override", "value"),
        [
            ("model.pool=average", "average"),
            ('model.pool="average"', "average"),
            ("model.channels=[8, 16]", [8, 16]),
            ("model.hidden = 7", 7),
            ("model.bias=false", False),
            ("model.dropout=1e-3", 0.001),
            ("model.size=[3,4]", [3, 4]),
        ],
    )
    def test_are_read_as_toml_or_text(self, override: str, value: Any) -> None:
        key = override.partition("=")[0].strip().removeprefix("model.")
        assert preset_of(HEAD, [override]).model.options[key] == value

    @pytest.mark.parametrize("text", ["", "2020-01-01", "a\nb = 1", "007", "~/x y.csv", "[1", "x # y", "="])
    def test_what_is_no_toml_is_text(self, text: str) -> None:
        assert preset_of(HEAD, [f"data.path={text}"], builders=False).data.options["path"] == text.strip()

    def test_win_over_the_file_and_later_ones_over_earlier(self) -> None:
        text = HEAD + "[training]\nepochs = 5"
        assert preset_of(text, ["training.epochs=6", "training.epochs=7"]).training.epochs == 7

    def test_mend_what_is_wrong_in_the_file(self) -> None:
        assert preset_of(HEAD + "[training]\nepochs = nan", ["training.epochs=7"]).training.epochs == 7

    def test_reach_into_tables(self) -> None:
        text = HEAD.replace("digits", "csv")
        preset = preset_of(text, ["data.path=a.csv", 'data.columns."a b"=c', "data.columns.d=e"])
        assert preset.data.options == {"path": "a.csv", "columns": {"a b": "c", "d": "e"}}

    def test_another_name_starts_its_section_afresh(self) -> None:
        text = HEAD + "channels = [8]\n[optimizer]\nname = 'adamw'\ndecay = 0.5\nlr = 0.5"
        preset = preset_of(text, ["optimizer.momentum=0.5", "optimizer.name=sgd", "model.name=cnn"])
        assert preset.optimizer == Named(name="sgd", options={"lr": 0.1, "momentum": 0.5})
        assert preset.model.options["channels"] == [8]

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("training.epochs=-1", "training.epochs: must be at least 1, got -1"),
            ("training.epochs=nan", "training.epochs: must be a finite number, got nan"),
            ("training.epoch=3", "training.epoch: unknown key; did you mean 'epochs'? (allowed: "),
            ("trainign.epochs=3", "trainign: unknown section; did you mean 'training'? (allowed: "),
            ("epochs=3", "must be section.key=value; did you mean training.epochs=…?"),
            ("model=cnn", "must be section.key=value; did you mean model.name=…?"),
            ("modle=cnn", "must be section.key=value; did you mean model.…=…?"),
            ("training.epochs", "must be section.key=value, such as training.epochs=20"),
            ("", "must be section.key=value, such as training.epochs=20"),
            ("=", "must be section.key=value, such as training.epochs=20"),
            ("training.epochs.x=3", "training.epochs: is not a table"),
            ("model.columns.a.b=3", "model.columns: unknown key"),
            (f"model.x={'[' * 100}", "is larger or nested deeper than a preset may be"),
            (f"model{'.a' * 100}=1", "is larger or nested deeper than a preset may be"),
            ("model.hidden=\ud800", r"model.hidden: must be valid UTF-8 text, got '\ud800'"),
            ("model.\x1b=1", "must be section.key=value"),
        ],
    )
    def test_errors_name_the_override(self, override: str, message: str) -> None:
        (line,) = errors_of(HEAD + "[training]\nepochs = 3", [override])
        assert line.startswith("--set ") and f": {message}" in line

    def test_long_ones_are_cut_in_errors(self) -> None:
        (line,) = errors_of(HEAD, [f"model.pool={'x' * 100_000}"])
        assert len(line) < 300


class TestDump:
    def test_loads_equal(self) -> None:
        preset = preset_of(HEAD + "size = [3, 4]\n[about]\ntry = [{say = 'x \"y\"', set = ['a=1']}]")
        assert preset_of(dump(preset)) == preset
        assert preset_of(dump(preset), builders=False) == preset

    def test_spells_out_every_section_in_order(self) -> None:
        headers = [line[1:-1] for line in dump(preset_of(HEAD)).splitlines() if line.startswith("[")]
        assert headers == list(SECTIONS)

    def test_the_name_comes_first(self) -> None:
        assert '[model]\nname = "cnn"\nchannels = [32, 64]\n' in dump(preset_of(HEAD))

    @given(
        st.dictionaries(
            st.text(max_size=9).filter(lambda key: key != "name"),
            st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=9),
            max_size=5,
        )
    )
    def test_any_options_survive(self, options: dict[str, Any]) -> None:
        preset = Preset(data=Named(name="a"), model=Named(name="b", options=options))
        assert preset_of(dump(preset), builders=False) == preset


class TestOrigin:
    def test_path(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text(HEAD)
        preset = load(str(path), builders=False)
        assert (preset.source, preset.base) == (str(path), tmp_path)

    def test_does_not_matter_for_equality(self) -> None:
        assert loads(HEAD, "a", builders=False) == loads(HEAD, "b", builders=False, base=Path("/"))

    def test_is_no_key(self) -> None:
        assert errors_of("source = 'x'\n" + HEAD)[0].startswith("x.toml:1: source: unknown section")

    def test_survives_a_change(self, tmp_path: Path) -> None:
        changed = loads(HEAD, "a", builders=False, base=tmp_path).model_copy(
            update={"training": Training(epochs=3)}
        )
        assert (changed.source, changed.base, changed.training.epochs) == ("a", tmp_path, 3)


class TestShipped:
    @pytest.fixture
    def presets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A source tree with two presets, one in a subfolder."""
        for path in ("presets/digits-cnn.toml", "presets/pitfalls/no-shuffle.toml"):
            (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / path).write_text(HEAD)
        (tmp_path / "dlcore").mkdir()
        monkeypatch.setattr(dlcore.preset, "__file__", str(tmp_path / "dlcore" / "preset" / "__init__.py"))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_are_named_by_their_stem(self, presets: Path) -> None:
        (presets / "presets/more").mkdir()
        (presets / "presets/more/tiny.toml").write_text(HEAD)
        assert [path.stem for path in shipped()] == ["digits-cnn", "tiny"]
        assert find("tiny") == presets / "presets/more/tiny.toml"

    def test_those_with_a_fault_stand_apart(self, presets: Path) -> None:
        assert [path.stem for path in pitfalls()] == ["no-shuffle"]
        assert find("no-shuffle") == presets / "presets/pitfalls/no-shuffle.toml"

    def test_of_an_installed_package_come_first(self, presets: Path) -> None:
        (presets / "dlcore/_presets").mkdir()
        (presets / "dlcore/_presets/only.toml").write_text(HEAD)
        assert [path.stem for path in shipped()] == ["only"]

    @pytest.mark.parametrize("source", ["digits-cnn", "digits-cnn.toml"])
    def test_load_by_name(self, presets: Path, source: str) -> None:
        assert load(source, builders=False).source == source

    def test_a_file_of_that_name_wins_over_a_shipped_one(self, presets: Path) -> None:
        (presets / "digits-cnn.toml").write_text(HEAD + "[training]\nepochs = 77")
        assert load("digits-cnn.toml", builders=False).training.epochs == 77
        assert load("digits-cnn", builders=False).training.epochs == 10

    def test_errors_name_the_file(self, presets: Path) -> None:
        with pytest.raises(PresetError, match=r"^--set model.x=nan: model.x: must be"):
            load("digits-cnn", ["model.x=nan"], builders=False)
        (presets / "presets/digits-cnn.toml").write_text("x = ")
        with pytest.raises(PresetError, match=r"^digits-cnn.toml:1: not valid TOML"):
            load("digits-cnn", builders=False)

    def test_unknown_name_says_the_nearest(self, presets: Path) -> None:
        with pytest.raises(UserError, match=r"there is no preset 'digit-cnn'; did you mean 'digits-cnn'?"):
            load("digit-cnn", builders=False)

    def test_have_different_names(self) -> None:
        stems = [path.stem for path in (*shipped(), *pitfalls())]
        assert len(set(stems)) == len(stems)

    def test_load_with_everything_that_they_suggest_to_try(self) -> None:
        for path in shipped():
            preset = load(path, builders=False)
            for suggestion in preset.about.try_:
                load(path, suggestion.set, builders=False)


class TestSectionFields:
    def test_tell_a_form_what_a_key_takes(self) -> None:
        fields = {field.name: field for field in section_fields("training")}
        assert (fields["epochs"].type_text, fields["epochs"].default, fields["epochs"].minimum) == (
            "int",
            10,
            1,
        )
        assert fields["precision"].choices == ("auto", "fp32", "bf16", "fp16")

    @pytest.mark.parametrize("section", list(FIXED))
    def test_have_help(self, section: str) -> None:
        assert [
            field.name for field in section_fields(section) if not field.help and section != "about"
        ] == []
