from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dlcore.errors import UserError
from dlcore.registry import SCHEDULERS, Registry
from dlcore.user_code import PREFIX, load_user_builder

NET = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Point:
    x: int

class Net:
    '''My own network.'''
    def __init__(self, spec, *, width: int = 64):
        self.width = width

value = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with what loading changes put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("DLTUI_USER_FILES", "{}")
    return tmp_path


def write(path: Path, code: str) -> Path:
    path.write_text(textwrap.dedent(code))
    return path


def error_of(name: str, base: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        Registry("model", __name__).entry(name, base)
    (line,) = caught.value.lines
    assert line.isprintable()
    return line


class TestLoading:
    def test_is_held_to_the_same_checks(self, folder: Path) -> None:
        write(folder / "net.py", NET)
        entry = Registry("model", __name__).entry("net.py:Net")
        assert entry.summary == "My own network."
        assert [str(each) for each in entry.validate({"width": "x"})[1]] == [
            "width: must be a whole number, got 'x'"
        ]
        assert entry.build(None, width=3).width == 3

    def test_looks_in_the_working_folder_and_then_beside_the_preset(self, folder: Path) -> None:
        beside = folder / "presets"
        beside.mkdir()
        write(beside / "net.py", NET.replace("64", "1"))
        assert load_user_builder("net.py:Net", beside)(None).width == 1
        write(folder / "net.py", NET.replace("64", "2"))
        assert load_user_builder("net.py:Net", beside)(None).width == 2

    def test_runs_the_file_once(self, folder: Path) -> None:
        write(folder / "net.py", NET)
        assert load_user_builder("net.py:Net") is load_user_builder("./net.py:Net")

    def test_runs_an_edited_file_anew(self, folder: Path) -> None:
        write(folder / "net.py", NET)
        assert load_user_builder("net.py:Net")(None).width == 64
        write(folder / "net.py", NET.replace("64", "65"))  # same size, and likely the same second
        assert load_user_builder("net.py:Net")(None).width == 65

    def test_an_edited_file_may_register_again(self, folder: Path) -> None:
        head = "from dlcore.registry import SCHEDULERS\n@SCHEDULERS.register('of_a_test')\n"
        try:
            for number in (1, 22):
                write(folder / "mine.py", head + f"def make(): return {number}")
                load_user_builder("mine.py:make")
            assert SCHEDULERS.build("of_a_test") == 22
        finally:
            SCHEDULERS._entries.pop("of_a_test")

    def test_finds_its_neighbours(self, folder: Path) -> None:
        write(folder / "neighbour_of_a_test.py", "width = 5")
        write(folder / "net.py", "from neighbour_of_a_test import width\ndef net(spec): return width")
        assert load_user_builder("net.py:net")(None) == 5
        del sys.modules["neighbour_of_a_test"]

    def test_takes_a_dotted_name(self, folder: Path) -> None:
        write(folder / "net.py", "class Zoo:\n    class Net:\n        def __init__(self, spec): ...")
        assert load_user_builder("net.py:Zoo.Net").__name__ == "Net"


class TestModuleName:
    def test_shadows_nothing(self, folder: Path) -> None:
        before = dict(sys.modules)
        write(folder / "json.py", NET)
        module = load_user_builder("json.py:Net").__module__
        assert module.startswith(PREFIX)
        assert {name for name in sys.modules if name not in before} == {module}
        assert sys.modules["json"] is json

    def test_is_another_for_a_file_of_the_same_name(self, folder: Path) -> None:
        (folder / "other").mkdir()
        write(folder / "net.py", NET)
        write(folder / "other/net.py", NET)
        assert load_user_builder("net.py:Net").__module__ != load_user_builder("other/net.py:Net").__module__

    def test_lets_dataclasses_pickle(self, folder: Path) -> None:
        write(folder / "net.py", NET)
        point = load_user_builder("net.py:Point")(3)
        assert pickle.loads(pickle.dumps(point)) == point

    def test_is_found_by_a_process_that_starts_afresh(self, folder: Path) -> None:
        write(folder / "net.py", NET)
        script = """
            import multiprocessing
            from dlcore.user_code import load_user_builder
            if __name__ == "__main__":
                points = [load_user_builder("net.py:Point")(3)]
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.map(repr, points))
        """
        write(folder / "main.py", script)
        root = str(Path(__file__).parents[2])
        code = (
            f"import sys, runpy; sys.path.insert(0, {root!r}); runpy.run_path('main.py', run_name='__main__')"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.stdout == "['Point(x=3)']\n", done.stderr


class TestErrors:
    def test_missing_file(self, folder: Path) -> None:
        assert error_of("net.py:Net") == f"there is no file 'net.py' (looked in {folder})"

    def test_missing_file_names_both_folders(self, folder: Path) -> None:
        assert f"(looked in {folder} or /a)" in error_of("net.py:Net", Path("/a"))

    def test_folder(self, folder: Path) -> None:
        (folder / "net.py").mkdir()
        assert error_of("net.py:Net") == "'net.py' is not a file"

    def test_missing_name(self, folder: Path) -> None:
        write(folder / "net.py", NET)
        assert error_of("net.py:Nett") == "'net.py' has no 'Nett'; did you mean 'Net'?"

    @pytest.mark.parametrize("name", ["net.py", "net.py:", "net.py:a b", ".py:x"])
    def test_no_name(self, folder: Path, name: str) -> None:
        assert error_of(name).endswith("must name a file and what to take from it, such as 'net.py:Net'")

    def test_not_callable(self, folder: Path) -> None:
        write(folder / "net.py", NET)
        assert (
            error_of("net.py:value") == "'net.py:value' is 3, not a class or function that builds something"
        )

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("x = 1\ny = z", "line 2: NameError: name 'z' is not defined"),
            ("\n\ndef f(:", "line 3: SyntaxError: invalid syntax"),
            ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
            ("import nowhere_at_all", "line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
            ("def f():\n    f()\nf()", "line 2: RecursionError: maximum recursion depth exceeded"),
            (r"raise ValueError('a\nb\x1b[31m')", r"line 1: ValueError: a b\x1b[31m"),
            ("raise ValueError", "line 1: ValueError"),
        ],
    )
    def test_failing_import_names_the_users_line(self, folder: Path, code: str, reason: str) -> None:
        write(folder / "net.py", code)
        assert error_of("net.py:Net") == f"'net.py' failed at import, {reason}"

    def test_failing_import_leaves_no_module(self, folder: Path) -> None:
        before = set(sys.modules)
        write(folder / "net.py", "1 / 0")
        error_of("net.py:Net")
        assert set(sys.modules) == before

    def test_binary_file(self, folder: Path) -> None:
        (folder / "net.py").write_bytes(b"\xff\xfe\x00\x01")
        assert error_of("net.py:Net").startswith("'net.py' failed at import, ")

    def test_hostile_path(self, folder: Path) -> None:
        assert error_of("a\0b.py:Net").startswith(r"there is no file 'a\x00b.py'")
        assert error_of("x" * 5000 + ".py:Net").endswith("cannot be read: File name too long")

    def test_signature_that_no_preset_can_express(self, folder: Path) -> None:
        write(folder / "net.py", "def net(spec, *, act: 'Nowhere' = 3): ...")
        assert error_of("net.py:net").startswith(
            "model 'net.py:net': the type of its option 'act' cannot be used"
        )
