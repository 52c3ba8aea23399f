"""A trained network as a small web service on this machine: JSON in, JSON out.

One process, one network, one request at the network at a time. What a stranger could do to it is bounded: bytes of a
request, samples in it, requests that wait, seconds until an answer. Nothing is read from or written to the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from dlcore.data.pictures import UnreadablePictureError
from dlcore.deploy.predict import ask
from dlcore.deploy.serving_inputs import decoder_of, example_of
from dlcore.errors import UserError
from dlcore.trained import Trained

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
        bytes: of its body.
        samples: in it.
        waiting: requests at once, the one being answered included; more are told to come back.
        seconds: until an answer, or the request is given up.
    """

    bytes: int = 16 << 20
    samples: int = 256
    waiting: int = 8
    seconds: float = 30.0


class RefusedError(Exception):
    """A request that is not answered; the text is for who sent it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Service:
    """The network behind the routes.

    Args:
        token: must be sent as ``Authorization: Bearer TOKEN``; empty asks for none.
        hosts: names that a request may call this machine by. A web page that a browser has open could otherwise
            reach it under a name of its own (DNS rebinding).
    """

    def __init__(
        self, trained: Trained, limits: Limits, *, token: str = "", hosts: tuple[str, ...] = LOOPBACK
    ) -> None:
        self.trained, self.limits, self.token, self.hosts = trained, limits, token, hosts
        self._decode = decoder_of(trained)
        self._turn = asyncio.Lock()
        self._waiting = 0

    def app(self) -> Starlette:
        """The ASGI application: ``GET /`` tells what is served, ``POST /predict`` asks."""
        return Starlette(
            routes=[
                Route("/", self._about, methods=["GET"]),
                Route("/health", self._health, methods=["GET"]),
                Route("/predict", self._predict, methods=["POST"]),
            ]
        )

    async def _about(self, request: Request) -> JSONResponse:
        spec = self.trained.spec
        return await self._guarded(
            request,
            lambda: {
                "run": self.trained.run.name, "epoch": self.trained.epoch, "step": self.trained.step,
                "model": self.trained.preset.model.name, "input": spec.input,
                "input_shape": list(spec.input_shape), "target": spec.target,
                "class_names": list(spec.class_names), "example": example_of(self.trained),
                "limits": {"bytes": self.limits.bytes, "samples": self.limits.samples},
            },
        )  # fmt: skip

    async def _health(self, request: Request) -> JSONResponse:
        return await self._guarded(request, lambda: {"ok": True})

    async def _guarded(self, request: Request, answer: Callable[[], dict[str, Any]]) -> JSONResponse:
        try:
            self._admit(request)
        except RefusedError as refused:
            return _refusal(refused)
        return JSONResponse(answer())

    async def _predict(self, request: Request) -> JSONResponse:
        try:
            self._admit(request)
            if self._waiting >= self.limits.waiting:
                raise RefusedError(503, "too many requests wait already; try again")
            self._waiting += 1
            try:
                async with asyncio.timeout(self.limits.seconds):
                    body = await self._body(request)
                    async with self._turn:
                        answers = await run_in_threadpool(self._answer, body)
            finally:
                self._waiting -= 1
        except RefusedError as refused:
            return _refusal(refused)
        except TimeoutError:
            return _refusal(RefusedError(503, f"no answer within {self.limits.seconds:g} s"))
        except ClientDisconnect:
            return _refusal(RefusedError(400, "the request was broken off"))
        return JSONResponse(answers)

    def _admit(self, request: Request) -> None:
        host = request.headers.get("host", "")
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        if self.hosts and name not in self.hosts:
            raise RefusedError(403, "this service answers to its own address only")
        given = request.headers.get("authorization", "")
        if self.token and not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise RefusedError(401, "send the token as 'Authorization: Bearer TOKEN'")

    async def _body(self, request: Request) -> Any:
        """The JSON of a request, never more of it in memory than is allowed."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise RefusedError(415, "send JSON with 'Content-Type: application/json'")
        read = bytearray()
        async for chunk in request.stream():
            read += chunk
            if len(read) > self.limits.bytes:
                raise RefusedError(413, f"more than {self.limits.bytes:,} bytes")
        try:
            return json.loads(read)
        except (ValueError, RecursionError):
            raise RefusedError(400, "the body is no JSON") from None

    def _answer(self, body: Any) -> dict[str, Any]:
        """``{"inputs": [...]}`` gets ``{"answers": [...]}``, ``{"input": ...}`` gets one answer."""
        if not isinstance(body, dict) or ("input" in body) == ("inputs" in body):
            raise RefusedError(400, 'send {"input": ...} or {"inputs": [...]}')
        single = "input" in body
        inputs = [body["input"]] if single else body["inputs"]
        if not isinstance(inputs, list) or not inputs:
            raise RefusedError(400, '"inputs" must be a list with something in it')
        if len(inputs) > self.limits.samples:
            raise RefusedError(413, f"{len(inputs):,} samples are more than {self.limits.samples:,}")
        tensors = []
        for at, value in enumerate(inputs):
            try:
                tensors.append(self._decode(value))
            except (UserError, UnreadablePictureError, ValueError, TypeError, OverflowError) as error:
                where = "input" if single else f"inputs[{at}]"
                reason = error.lines[0] if isinstance(error, UserError) else str(error).partition("\n")[0]
                raise RefusedError(422, f"{where}: {reason}") from None
        answers = [_strict(each) for each in ask(self.trained, torch.stack(tensors))]
        return answers[0] if single else {"answers": answers}


def _refusal(refused: RefusedError) -> JSONResponse:
    headers = {"Retry-After": "1"} if refused.status == 503 else {}
    return JSONResponse({"error": str(refused)}, refused.status, headers)


def _strict(value: Any) -> Any:
    """JSON knows no nan."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return value


def run(service: Service, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until ctrl+c or SIGTERM.

    Args:
        ready: told the address once it answers.

    Raises:
        UserError: the address cannot be had.
    """
    import socket

    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # who is told the address may come at once
    except OSError as error:
        listener.close()
        raise UserError(f"cannot serve at {host} port {port}: {error.strerror or error}") from error
    config = uvicorn.Config(
        service.app(),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=4 * service.limits.waiting,
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=64 << 10,
        lifespan="off",
        ws="none",
    )
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{listener.getsockname()[1]}")
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
