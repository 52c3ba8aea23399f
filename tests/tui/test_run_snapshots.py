"""Pictures of the Run screen: every state and panel, machines with no GPU, one and eight; dark and light."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from dlcore.gauges import Gpu
from dlcore.run_dir import RunDir
from tests.tui.piloting import app_on
from tests.tui.recorded import HOSTILE
from tests.tui.run_cases import EIGHT, ONE, SLICES, Machine, full_run, open_run, settled, write_samples
from tui import gauge_follower
from tui.app import DltuiApp

WIDE = (120, 40)
SMALL = (80, 24)
TINY = (40, 12)
LIVE = ("running", "paused")

Compare = Callable[..., bool]
Before = Callable[[Pilot[Any]], Awaitable[None]]

STATES: dict[str, dict[str, Any]] = {
    "running": {"status": "running"},
    "paused": {"status": "paused"},
    "finished": {"status": "finished"},
    "stopped": {"status": "stopped"},
    "failed": {"status": "failed"},
    "died": {"status": "died"},
    "not-finite": {"status": "failed", "nan_from": 4},
    "hostile": {"status": "failed", "hostile": True},
    "beginning": {"status": "running", "done": 0},
}


pytestmark = pytest.mark.usefixtures("universal_time")


@pytest.fixture(autouse=True)
def _one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories as long as the time a test takes would make every picture another one."""
    monkeypatch.setattr(gauge_follower, "INTERVAL", 3_600.0)


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Locks that are let go of in the end."""
    with ExitStack() as stack:
        yield stack


def recorded(home: Path, held: ExitStack, name: str = "20251120-231502-digits-cnn", **how: Any) -> RunDir:
    run = full_run(home, name=name, **how)
    if how["status"] in LIVE:
        held.enter_context(run.lock())
    return run


def showing(run: RunDir, *keys: str, gpus: Sequence[Gpu] = ()) -> Before:
    """Opens the run, presses keys, and waits until all is there."""

    async def before(pilot: Pilot[Any]) -> None:
        screen = await open_run(pilot, run, Machine(gpus))
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await settled(pilot, screen)

    return before


def themed(home: Path, theme: str) -> DltuiApp:
    app = app_on(home)
    app.theme = theme
    return app


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "120x40"])
@pytest.mark.parametrize("state", STATES)
def test_states(
    home: Path, held: ExitStack, snap_compare: Compare, state: str, size: tuple[int, int]
) -> None:
    run = recorded(home, held, **STATES[state])
    assert snap_compare(app_on(home), terminal_size=size, run_before=showing(run))


@pytest.mark.parametrize(
    ("gpus", "size"),
    [(ONE, WIDE), (EIGHT, WIDE), (SLICES, WIDE), (ONE, SMALL), (EIGHT, SMALL), ((), SMALL)],
    ids=["one-wide", "eight-wide", "mig-wide", "one-small", "eight-small", "none-small"],
)
def test_machines(
    home: Path, held: ExitStack, snap_compare: Compare, gpus: Sequence[Gpu], size: tuple[int, int]
) -> None:
    run = recorded(home, held, status="running")
    keys = ["3"] if size == SMALL else []
    assert snap_compare(app_on(home), terminal_size=size, run_before=showing(run, *keys, gpus=gpus))


@pytest.mark.parametrize("key", ["2", "4", "5", "6", "7", "8"])
def test_panels_alone(home: Path, held: ExitStack, snap_compare: Compare, key: str) -> None:
    run = recorded(home, held, status="stopped")
    assert snap_compare(app_on(home), terminal_size=SMALL, run_before=showing(run, key))


@pytest.mark.parametrize("theme", ["dltui-light", "dltui-contrast", "nord"])
def test_themes(home: Path, held: ExitStack, snap_compare: Compare, theme: str) -> None:
    run = recorded(home, held, status="running")
    assert snap_compare(themed(home, theme), terminal_size=WIDE, run_before=showing(run, gpus=ONE))


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_tiny_terminal(home: Path, held: ExitStack, snap_compare: Compare, state: str) -> None:
    run = recorded(home, held, **STATES[state])
    assert snap_compare(app_on(home), terminal_size=TINY, run_before=showing(run))


def test_a_large_terminal(home: Path, held: ExitStack, snap_compare: Compare) -> None:
    run = recorded(home, held, status="running")
    assert snap_compare(app_on(home), terminal_size=(200, 50), run_before=showing(run, gpus=EIGHT))


def test_a_long_wide_hostile_name(home: Path, held: ExitStack, snap_compare: Compare) -> None:
    name = "学習" * 20 + HOSTILE.replace("/", "").encode("utf-8", "replace").decode()
    run = recorded(home, held, name, status="running", warnings=("警告" * 60,))
    assert snap_compare(app_on(home), terminal_size=WIDE, run_before=showing(run))


def test_one_panel_maximised(home: Path, held: ExitStack, snap_compare: Compare) -> None:
    run = recorded(home, held, status="running")
    assert snap_compare(app_on(home), terminal_size=WIDE, run_before=showing(run, "3", "z", gpus=EIGHT))


def test_the_question_before_leaving(home: Path, held: ExitStack, snap_compare: Compare) -> None:
    run = recorded(home, held, status="running")
    assert snap_compare(app_on(home), terminal_size=SMALL, run_before=showing(run, "q"))


def test_samples_of_numbers_pictures_and_text(home: Path, held: ExitStack, snap_compare: Compare) -> None:
    run = recorded(home, held, status="finished")
    write_mixed_samples(run)
    assert snap_compare(app_on(home), terminal_size=WIDE, run_before=showing(run, "7", "z"))


def write_mixed_samples(run: RunDir) -> None:
    """Two small pictures, three numbers, a text."""
    import json

    ring = [[1.0 if 2 <= (x - 4) ** 2 + (y - 4) ** 2 <= 12 else 0.1 for x in range(9)] for y in range(9)]
    slope = [[[x / 8 for x in range(9)]] * 9, [[y / 8] * 9 for y in range(9)], [[0.5] * 9] * 9]
    rows: list[dict[str, Any]] = [
        {"target": 0, "prediction": 0, "probabilities": [0.9, 0.1], "pixels": ring},
        {"target": 0, "prediction": 1, "probabilities": [0.4, 0.6], "pixels": slope},
        *({"target": [v], "prediction": [v + d]} for v, d in ((151.0, -2.5), (75.0, 31.0), (141.0, 4.25))),
        {"text": "ROMEO: what light through yonder window breaks?\nIt is the east, and Juliet is the sun."},
    ]
    write_samples(run)
    path = run.samples_path / "step-00000999.json"
    path.write_text(json.dumps({"step": 999, "samples": rows}))


def test_samples_with_several_pictures(home: Path, held: ExitStack, snap_compare: Compare) -> None:
    run = recorded(home, held, status="finished")
    write_picture_samples(run)
    assert snap_compare(app_on(home), terminal_size=WIDE, run_before=showing(run, "7", "z"))


def write_picture_samples(run: RunDir) -> None:
    """Two scenes with what is where and what was found, each with a caption."""
    import json

    def disc(radius: int) -> list[list[float]]:
        return [[float((x - 8) ** 2 + (y - 8) ** 2 < radius) for x in range(17)] for y in range(17)]

    scene = [[0.2 + x / 40 + 0.3 * inside for x, inside in enumerate(row)] for row in disc(40)]
    named = {"input": scene, "mask": disc(40), "prediction": disc(30)}
    pictures = [{"name": name, "pixels": pixels} for name, pixels in named.items()]
    rows = [{"pictures": pictures, "caption": f"98.{number} % of the pixels"} for number in (1, 2)]
    write_samples(run)
    (run.samples_path / "step-00000999.json").write_text(json.dumps({"step": 999, "samples": rows}))
