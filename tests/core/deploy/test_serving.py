"""The web service: what it answers, and what it refuses, without a socket."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import torch
from PIL import Image

from dlcore import trained
from dlcore.deploy.serving import Limits, Service
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import CARTPOLE, DIGITS, DRAWING, IRIS

TrainedOnce = Callable[[str], RunDir]
FLOWER = [5.1, 3.5, 1.4, 0.2]


def client(service: Service, host: str = "localhost") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(service.app()), base_url=f"http://{host}")


@pytest.fixture
def iris(trained_once: TrainedOnce) -> trained.Trained:
    return trained.load(trained_once(IRIS), device="cpu")


async def ask(service: Service, body: Any, **headers: str) -> httpx.Response:
    async with client(service) as http:
        return await http.post("/predict", json=body, headers=headers)


async def test_one_sample_and_many_get_the_network_s_answers(iris: trained.Trained) -> None:
    service = Service(iris, Limits())
    one = (await ask(service, {"input": FLOWER})).json()
    many = (
        await ask(service, {"inputs": [FLOWER, dict(zip(iris.spec.feature_names, FLOWER, strict=True))]})
    ).json()
    assert one["prediction"] in iris.spec.class_names
    assert sum(one["probabilities"].values()) == pytest.approx(1)
    assert len(many["answers"]) == 2
    for answer in many["answers"]:
        assert answer["probabilities"] == pytest.approx(one["probabilities"])


async def test_the_example_that_it_shows_is_answered(iris: trained.Trained) -> None:
    service = Service(iris, Limits())
    async with client(service) as http:
        about = (await http.get("/")).json()
    assert about["class_names"] == list(iris.spec.class_names)
    assert (await ask(service, about["example"])).status_code == 200


async def test_a_picture_is_answered_as_its_file_is(trained_once: TrainedOnce) -> None:
    found = trained.load(trained_once(DIGITS), device="cpu")
    file = io.BytesIO()
    Image.new("L", (20, 30), 128).save(file, "PNG")
    answer = (
        await ask(Service(found, Limits()), {"input": base64.b64encode(file.getvalue()).decode()})
    ).json()
    raw = torch.full((1, 1, 8, 8), 128 * 16 / 255)
    facts = found.spec.preprocessing
    logits = found.task.model((raw / 16 - facts["mean"][0]) / facts["std"][0])
    assert list(answer["probabilities"].values()) == pytest.approx(logits.softmax(1)[0].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"input": [1, 2, 3]}, 422, "input: must be 4 numbers"),
        ({"inputs": [FLOWER, [1, 2, 3, "x"]]}, 422, "inputs[1]: must be 4 numbers"),
        ({"inputs": []}, 400, "must be a list with something in it"),
        ({"inputs": [FLOWER] * 9}, 413, "9 samples are more than 8"),
        ({"input": FLOWER, "inputs": [FLOWER]}, 400, 'send {"input": ...}'),
        ([FLOWER], 400, 'send {"input": ...}'),
        ({"inputs": ["x" * 3000]}, 413, "more than 2,000 bytes"),
    ],
)
async def test_what_cannot_be_answered_is_one_reason(
    iris: trained.Trained, body: Any, status: int, reason: str
) -> None:
    response = await ask(Service(iris, Limits(bytes=2000, samples=8)), body)
    assert response.status_code == status
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 1900, b"\xff", b'{"input": NaN}', b'{"input": [1e999,1,1,1]}']
)
async def test_bodies_that_are_no_json_are_refused(iris: trained.Trained, body: bytes) -> None:
    async with client(Service(iris, Limits(bytes=2000))) as http:
        response = await http.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert json.loads(response.content)["error"]


async def test_a_state_of_an_environment_gets_an_action(trained_once: TrainedOnce) -> None:
    found = trained.load(trained_once(CARTPOLE), device="cpu")
    async with client(Service(found, Limits())) as http:
        about = (await http.get("/")).json()
        answer = (await http.post("/predict", json=about["example"])).json()
    assert answer["prediction"] in ("0", "1")


async def test_what_has_no_answers_is_not_served(trained_once: TrainedOnce) -> None:
    with pytest.raises(UserError, match="has no answer to an input, so it cannot be served"):
        Service(trained.load(trained_once(DRAWING["gan"]), device="cpu"), Limits())


async def test_a_page_of_another_site_gets_nothing(iris: trained.Trained) -> None:
    service = Service(iris, Limits())
    async with client(service, "evil.example") as http:
        assert (await http.get("/")).status_code == 403
    async with client(service) as http:  # what a browser sends unasked: no JSON
        response = await http.post("/predict", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("sent", "status"), [("Bearer secret", 200), ("Bearer no", 401), ("secret", 401), ("", 401)]
)
async def test_an_open_service_wants_its_token(iris: trained.Trained, sent: str, status: int) -> None:
    service = Service(iris, Limits(), token="secret", hosts=())
    headers = {"Authorization": sent} if sent else {}
    assert (await ask(service, {"input": FLOWER}, **headers)).status_code == status


async def test_too_many_at_once_are_told_to_come_back_and_a_slow_one_is_given_up(
    iris: trained.Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(iris, Limits(waiting=1, seconds=1.0))
    await service._turn.acquire()  # another request is at the network
    first = asyncio.create_task(ask(service, {"input": FLOWER}))
    while not service._waiting:
        await asyncio.sleep(0)
    second = await ask(service, {"input": FLOWER})
    assert second.status_code == 503
    assert "too many" in second.json()["error"]
    assert (await first).status_code == 503
    service._turn.release()
    assert (await ask(service, {"input": FLOWER})).status_code == 200
