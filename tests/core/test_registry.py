from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import Field as Limit

from dlcore.errors import UserError
from dlcore.registry import DATA, MODELS, OPTIMIZERS, SCHEDULERS, TASKS, Entry, Registry
from dlcore.registry.schema import Field
from dlcore.registry.signatures import SchemaError
from tests.core import preset_builders

if TYPE_CHECKING:
    from nowhere import Unknown


def entry_of(builder: Any) -> Entry:
    registry = Registry("thing", __name__)
    registry.register()(builder)
    return registry.entry(builder.__name__)


def messages(entry: Entry, **options: Any) -> list[str]:
    return [str(problem) for problem in entry.validate(options)[1]]


CNN = preset_builders.MODELS.entry("cnn")


class TestRegister:
    def test_twice_raises(self) -> None:
        registry = Registry("thing", __name__)
        registry.register("net")(lambda: None)
        with pytest.raises(ValueError, match="thing 'net' is registered twice"):
            registry.register("net")(lambda: None)

    def test_hands_the_builder_back(self) -> None:
        def build() -> None: ...

        assert Registry("thing", __name__).register("x")(build) is build

    def test_keeps_groups_and_tags(self) -> None:
        digits = preset_builders.DATA.entry("digits")
        assert (digits.group, dict(digits.tags)) == ("bundled", {"input": "image", "target": "class"})
        assert CNN.inputs == ("image",)


class TestDiscovery:
    def test_finds_every_module_of_a_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = tmp_path / "plugins_of_a_test"
        package.mkdir()
        registry = "from dlcore.registry import Registry\nTHINGS = Registry('thing', 'plugins_of_a_test')\n"
        (package / "__init__.py").write_text(registry)
        for name in ("one", "two"):
            code = f"from plugins_of_a_test import THINGS\n@THINGS.register()\ndef {name}(): ...\n"
            (package / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        import plugins_of_a_test  # type: ignore[import-not-found]

        assert plugins_of_a_test.THINGS.names() == ["one", "two"]

    def test_imports_no_torch_before_the_first_look_up(self) -> None:
        code = "import sys, dlcore.registry, dlcore.preset; assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_entries_are_sorted_by_name(self) -> None:
        assert [entry.name for entry in preset_builders.MODELS.entries()] == ["cnn", "linear"]


class TestUnknownName:
    def test_says_the_nearest(self) -> None:
        with pytest.raises(
            UserError, match=r"unknown model 'cmnn'; did you mean 'cnn'\? \(allowed: cnn, linear, or"
        ):
            preset_builders.MODELS.entry("cmnn")

    def test_shows_no_control_character(self) -> None:
        with pytest.raises(UserError) as caught:
            preset_builders.MODELS.entry("\x1b[31m\n\u202e")
        assert str(caught.value).isprintable()


class TestFields:
    def test_come_from_the_signature_and_the_docstring(self) -> None:
        fields = {field.name: field for field in CNN.fields}
        assert list(fields) == ["channels", "hidden", "dropout", "pool", "size", "pad", "bias"]
        assert fields["channels"] == Field(
            "channels", "list of int", [32, 64], False, "of each block, from the input on.", (), 1, 2**31
        )
        assert fields["dropout"] == Field("dropout", "float", 0.5, False, "", (), 0, 1, ("maximum",))
        assert fields["pool"] == Field("pool", "one of max, average", "max", False, "", ("max", "average"))
        assert fields["size"].type_text == "list of 2 int" and fields["size"].default is None
        assert fields["pad"].type_text == "int or same"
        assert fields["bias"].type_text == "bool"

    def test_required_options_have_no_default(self) -> None:
        path = preset_builders.DATA.entry("csv").fields[0]
        assert (path.name, path.required, path.default) == ("path", True, None)

    def test_summary_is_the_first_line(self) -> None:
        assert CNN.summary == "A convolutional network."

    def test_a_base_class_lends_no_docstring(self) -> None:
        class Child(preset_builders.cnn): ...

        assert entry_of(Child).doc == ""

    def test_annotations_for_type_checkers_alone_do_not_matter_before_the_star(self) -> None:
        def build(spec: Unknown, *, width: int = 3) -> None: ...

        assert entry_of(build).fields[0].type_text == "int"

    @pytest.mark.parametrize(
        ("default", "text"),
        [(3, "int"), (0.5, "float"), (True, "bool"), ("x", "str"), ((1, 2), "list of int")],
    )
    def test_without_an_annotation_the_default_tells_the_type(self, default: Any, text: str) -> None:
        def build(spec, *, option=default): ...  # type: ignore[no-untyped-def]

        assert entry_of(build).fields[0].type_text == text


def _callable_option(spec: Any, *, option: type[Registry] = Registry) -> None: ...
def _broken_default(spec: Any, *, option: int = "x") -> None: ...  # type: ignore[assignment]
def _endless_default(spec: Any, *, option: float = float("inf")) -> None: ...
def _unknown_type(spec: Any, *, option: Unknown = 3) -> None: ...
def _called_name(spec: Any, *, name: str = "") -> None: ...


@pytest.mark.parametrize(
    "builder", [_callable_option, _broken_default, _endless_default, _unknown_type, _called_name]
)
def test_a_signature_that_toml_cannot_express_is_a_bug_of_the_builder(builder: Any) -> None:
    with pytest.raises(SchemaError, match="option"):
        entry_of(builder).fields  # noqa: B018


class TestValidate:
    def test_fills_in_every_default(self) -> None:
        values, problems = CNN.validate({"hidden": 7})
        expected = {
            "channels": [32, 64],
            "hidden": 7,
            "dropout": 0.5,
            "pool": "max",
            "pad": "same",
            "bias": True,
        }
        assert (values, problems) == (expected, [])

    def test_a_default_cannot_be_changed_through_the_result(self) -> None:
        CNN.validate({})[0]["channels"].append(99)
        assert CNN.validate({})[0]["channels"] == [32, 64]

    def test_its_result_is_valid_again(self) -> None:
        values, _ = CNN.validate({"size": [3, 4], "dropout": 0})
        assert CNN.validate(values) == (values, [])

    def test_an_int_serves_for_a_float(self) -> None:
        dropout = CNN.validate({"dropout": 0})[0]["dropout"]
        assert isinstance(dropout, float) and dropout == 0

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("hidden", -3, "must be at least 1, got -3"),
            ("hidden", "ten", "must be a whole number, got 'ten'"),
            ("hidden", 2.5, "must be a whole number, got 2.5"),
            ("hidden", True, "must be a whole number, got true"),
            ("hidden", "3", "must be a whole number, got '3'"),
            ("hidden", 2**40, "must be at most 2147483648, got 1099511627776"),
            ("hidden", 10**400, "must fit in 64 bits, got a huge number"),
            ("hidden", [1], "must be a whole number, got [1]"),
            ("dropout", 1, "must be below 1, got 1"),
            ("dropout", float("nan"), "must be a finite number, got nan"),
            ("dropout", -float("inf"), "must be a finite number, got -inf"),
            ("dropout", True, "must be a number, got true"),
            ("bias", 1, "must be true or false, got 1"),
            ("pool", "med", "must be one of max, average; got 'med'"),
            ("pool", {}, "must be one of max, average; got a table"),
            ("channels", 3, "must be a list, got 3"),
            ("channels", [1, -3], "entry 2: must be at least 1, got -3"),
            ("channels", [1, "a"], "entry 2: must be a whole number, got 'a'"),
            ("channels", [8] * 1001, "must have at most 1000 entries, got 1001"),
            ("size", [1], "entry 2: is required"),
            ("size", "", "must be a list, got ''"),
            ("pad", -3, "must be at least 1 or same, got -3"),
            (
                "chanels",
                [1],
                "unknown key; did you mean 'channels'? (allowed: channels, hidden, dropout, pool, "
                "size, pad, bias)",
            ),
            ("spec", 3, "is not an option, because 'spec' comes before the * in the builder's signature"),
        ],
    )
    def test_says_what_is_wrong_in_plain_english(self, option: str, value: Any, message: str) -> None:
        assert messages(CNN, **{option: value}) == [f"{option}: {message}"]

    def test_says_everything_at_once(self) -> None:
        wrong = messages(CNN, hidden=0, pool="x", channels=[0], widht=3)
        assert [line.partition(":")[0] for line in wrong] == ["hidden", "pool", "channels", "widht"]

    def test_misses_what_is_required(self) -> None:
        assert messages(preset_builders.DATA.entry("csv")) == ["path: is required: of the file"]

    def test_none_is_said_by_leaving_out(self) -> None:
        values, _ = preset_builders.DATA.entry("csv").validate({"path": "a.csv", "delimiter": ""})
        assert values == {"path": "a.csv", "delimiter": ""}

    def test_true_is_no_choice_of_one(self) -> None:
        def build(*, level: Literal[1, 2] = 1) -> None: ...

        assert messages(entry_of(build), level=True) == ["level: must be a number, got true"]

    def test_a_builder_without_options_says_so(self) -> None:
        assert messages(preset_builders.MODELS.entry("linear"), a=1) == [
            "a: unknown key; this one takes no options"
        ]

    def test_bounds_of_numbers_are_kept_exactly(self) -> None:
        def build(*, rate: Annotated[float, Limit(gt=0.25, le=0.75)] = 0.5) -> None: ...

        entry = entry_of(build)
        assert messages(entry, rate=0.25) == ["rate: must be above 0.25, got 0.25"]
        assert messages(entry, rate=0.8) == ["rate: must be at most 0.75, got 0.8"]
        assert messages(entry, rate=0.75) == []


class TestBuild:
    def test_gives_arguments_first_and_options_in_their_own_types(self) -> None:
        network = preset_builders.MODELS.build("cnn", "the spec", channels=[8, 16], size=[3, 4])
        assert network.arguments == ("the spec", (8, 16), 128, 0.5, "max", (3, 4), "same", True)

    def test_refuses_wrong_options(self) -> None:
        with pytest.raises(UserError, match="model 'cnn': hidden: must be at least 1, got 0"):
            preset_builders.MODELS.build("cnn", None, hidden=0)

    def test_takes_its_own_validated_options(self) -> None:
        values, _ = CNN.validate({})
        assert CNN.build(None, **values).arguments[1:] == ((32, 64), 128, 0.5, "max", None, "same", True)


class TestRealBuilders:
    @pytest.mark.parametrize(
        "registry", [MODELS, DATA, TASKS, OPTIMIZERS, SCHEDULERS], ids=lambda each: each.kind
    )
    def test_say_what_they_are_and_what_each_option_is_for(self, registry: Registry) -> None:
        entries = registry.entries()
        assert entries
        silent = [entry.name for entry in entries if not entry.summary]
        silent += [
            f"{entry.name}.{field.name}" for entry in entries for field in entry.fields if not field.help
        ]
        assert silent == []

    @pytest.mark.parametrize(
        "registry", [MODELS, DATA, TASKS, OPTIMIZERS, SCHEDULERS], ids=lambda each: each.kind
    )
    def test_have_defaults_that_pass_their_own_check(self, registry: Registry) -> None:
        for entry in registry.entries():
            values, _ = entry.validate({})
            problems = [each for each in entry.validate(values)[1] if "is required" not in each.message]
            assert problems == []


def test_an_entry_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CNN.name = "other"  # type: ignore[misc]
