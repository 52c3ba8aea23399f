"""Who may import whom: a viewer never waits for torch, and the core never knows the app."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dlcore
import tui
from tests.end_to_end.processes import ENVIRONMENT, ROOT

HEAVY = {"torch", "torchvision", "sklearn", "scipy", "safetensors", "matplotlib", "pandas"}
WIRING = {
    "assembly",
    "checking",
    "choosing",
    "description",
    "examining",
    "exhibits",
    "inspecting",
    "onlooker",
    "opening",
    "step_cost",
    "thread_count",
    "together",
    "torchvision_compat",
    "trained",
    "worker",
}
"""What may import torch, right in dlcore. All else there is for viewers, too."""

PACKAGES = ["episodes", "gauges", "launch", "preset", "registry", "run_dir", "series"]
"""The packages of dlcore that are for viewers."""

LIGHT = sorted(
    [f"dlcore.{name}" for name in PACKAGES]
    + [
        f"dlcore.{module.name}"
        for module in pkgutil.iter_modules(dlcore.__path__)
        if not module.ispkg and module.name not in WIRING
    ]
)
WITHIN = [
    f"dlcore.{name}.{module.name}"
    for name in PACKAGES
    for module in pkgutil.iter_modules([str(ROOT / "dlcore" / name)])
]
APP = sorted(module.name for module in pkgutil.walk_packages(tui.__path__, "tui."))


def loaded_by(statements: str, *flags: str) -> list[str]:
    """Top-level names of all modules that a fresh interpreter has loaded after some statements."""
    code = (
        f"{statements}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def importing(modules: list[str]) -> str:
    return "\n".join(f"import {module}" for module in modules)


def test_there_is_something_to_look_at() -> None:
    assert {"dlcore.run_dir", "dlcore.preset", "dlcore.launch", "dlcore.registry"} <= set(LIGHT)
    assert {"tui.cli", "tui.commands.train", "tui.run_state"} <= set(APP)
    assert all((ROOT / "dlcore" / f"{name}.py").exists() for name in WIRING)


def test_light_modules_load_nothing_heavy_and_nothing_of_the_app() -> None:
    assert (
        set(loaded_by(importing([*LIGHT, *WITHIN, "dlcore.engine.protocol"])))
        & (HEAVY | {"tui", "textual", "rich", "typer"})
        == set()
    )


def test_the_app_loads_nothing_heavy() -> None:
    assert set(loaded_by(importing(APP))) & HEAVY == set()


def test_the_command_line_loads_next_to_nothing() -> None:
    """Its help is on the screen before numpy or pydantic would be loaded."""
    loaded = set(loaded_by("import tui.cli"))
    assert loaded & (HEAVY | {"numpy", "pydantic", "rich", "textual", "psutil", "dlcore.preset"}) == set()


@pytest.mark.parametrize("verb", ["ls", "show", "tell pause", "--help", "presets"])
def test_verbs_that_do_not_train_never_load_torch(verb: str, tmp_path: Path) -> None:
    run = f"from tui.cli import main\nmain({verb.split()!r})"
    code = f"import os\nos.chdir({str(tmp_path)!r})\n{run}"
    assert set(loaded_by(code)) & HEAVY == set()


@pytest.mark.parametrize(
    "module", ["dlcore", "dlcore.data", "dlcore.models", "dlcore.tasks", "dlcore.training"]
)
def test_importing_a_package_does_nothing(module: str) -> None:
    assert set(loaded_by(f"import {module}")) & HEAVY == set()


def test_the_keeper_stands_on_the_standard_library_alone() -> None:
    code = f"import runpy\nrunpy.run_path({str(ROOT / 'dlcore' / 'keeper.py')!r})"
    assert set(loaded_by(code, "-I", "-S")) <= set(sys.stdlib_module_names) | {"__main__"}


def test_the_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_contract_for_viewers_covers_every_light_module() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if "dlcore.run_dir" in c.get("source_modules", [])]
    assert sorted(contract["source_modules"]) == LIGHT
    assert set(contract["forbidden_modules"]) >= {"torch", "torchvision", "sklearn"}
