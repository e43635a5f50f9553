"""What the proxy may do to an exchange: faults."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from dev.plane.exchange import CutError, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from dev.plane.exchange import Exchange


def slow(seconds: float) -> Fault:
    """Hold a request back before it is passed on."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await exchange.forward()

    return fault


def refusing(status: int, *, retry_after: int | None = None) -> Fault:
    """Answer with an error in the server's place; `retry_after` is in seconds."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
        return exchange.answer(status, **headers)

    return fault


async def cut(_: Exchange) -> web.StreamResponse:
    """Break the connection before the request is passed on."""
    raise CutError


async def frozen(_: Exchange) -> web.StreamResponse:
    """Take the request and never answer."""
    await asyncio.Event().wait()
    raise CutError


async def lost_reply(exchange: Exchange) -> web.StreamResponse:
    """Pass the request on, and break the connection before its answer."""
    await exchange.deliver()
    raise CutError


def cut_body(share: float) -> Fault:
    """Break the connection in the middle of the answer's body."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        return await exchange.forward_part(share)

    return fault


def without(drop: Callable[[dict[str, Any]], bool]) -> Fault:
    """Pass a watch on without the events of which `drop` is true."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        return await exchange.forward(keep=lambda line: not drop(json.loads(line)))

    return fault


def before(action: Callable[[], object]) -> Fault:
    """Do something on the arrival of a request, which then is lost."""

    async def fault(_: Exchange) -> web.StreamResponse:
        action()
        raise CutError

    return fault


def after(action: Callable[[], object]) -> Fault:
    """Do something once the server has answered a request; the answer then is lost."""

    async def fault(exchange: Exchange) -> web.StreamResponse:
        await exchange.deliver()
        action()
        raise CutError

    return fault
