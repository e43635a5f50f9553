"""The control port: plain HTTP and JSON, for tests and for trying things by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from dev.simulators.exchange import Json, Reply, Request
from dev.simulators.faults import Fault
from dev.simulators.server import Handler
from dev.simulators.simulation import call_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.simulators.simulation import Simulation


def _health(_simulation: Simulation, _request: Request) -> object:
    return {"status": "ok"}


def _accounts(simulation: Simulation, _request: Request) -> object:
    return simulation.accounts()


def _calls(simulation: Simulation, request: Request) -> object:
    return [call_json(call) for call in simulation.calls(**request.query)]


def _clear_calls(simulation: Simulation, _request: Request) -> None:
    simulation.clear_calls()


def _truth(simulation: Simulation, request: Request) -> object:
    return simulation.truth(request.query["vendor"], request.query.get("account"))


def _alerts(simulation: Simulation, request: Request) -> object:
    return simulation.alert_truth(request.query["vendor"], request.query.get("account"))


def _faults(simulation: Simulation, _request: Request) -> object:
    return [asdict(fault) for fault in simulation.faults()]


def _set_faults(simulation: Simulation, request: Request) -> object:
    simulation.set_faults(Fault.from_json(item) for item in _body(request)["faults"])
    return _faults(simulation, request)


def _clear_faults(simulation: Simulation, _request: Request) -> None:
    simulation.set_faults()


def _plants(simulation: Simulation, request: Request) -> object:
    body = _body(request)
    return {
        "ids": simulation.change_plants(body["vendor"], body.get("account"), body["changes"]),
    }


def _expire(simulation: Simulation, request: Request) -> object:
    body = _body(request)
    return {"expired": simulation.expire_tokens(body["vendor"], body.get("account"))}


def _password(simulation: Simulation, request: Request) -> None:
    body = _body(request)
    simulation.set_password(body["vendor"], body.get("account"), body["password"])


def _change_account(simulation: Simulation, request: Request) -> None:
    body = _body(request)
    simulation.change_account(body["vendor"], body.get("account"), body["settings"])


def _clock(simulation: Simulation, request: Request) -> object:
    body = _body(request)
    simulation.set_clock(offset=float(body.get("offset", 0)), frozen_at=body.get("frozen_at"))
    return {"now": simulation.now()}


def _reset(simulation: Simulation, _request: Request) -> None:
    simulation.reset()


ROUTES: Final[dict[tuple[str, str], Callable[[Simulation, Request], object]]] = {
    ("GET", "/healthz"): _health,
    ("GET", "/accounts"): _accounts,
    ("GET", "/calls"): _calls,
    ("DELETE", "/calls"): _clear_calls,
    ("GET", "/truth"): _truth,
    ("GET", "/alerts"): _alerts,
    ("GET", "/faults"): _faults,
    ("PUT", "/faults"): _set_faults,
    ("DELETE", "/faults"): _clear_faults,
    ("POST", "/plants"): _plants,
    ("POST", "/tokens/expire"): _expire,
    ("PUT", "/password"): _password,
    ("PUT", "/accounts"): _change_account,
    ("PUT", "/clock"): _clock,
    ("POST", "/reset"): _reset,
}


class ControlHandler(Handler):
    """Answers on the control port; `controlling` makes the class for a simulation."""

    simulation: Simulation

    def respond(self) -> None:
        """Answer a control call."""
        request = self.read_request()
        status, result = _result(self.simulation, request)
        body = b"" if result is None else json.dumps(result, ensure_ascii=False).encode() + b"\n"
        reply = Reply(body, status, {"Content-Type": "application/json"})
        self.send(self.head(reply, len(body)) + body)


def controlling(simulation: Simulation) -> type[ControlHandler]:
    """Make the handler class of the control port."""
    return type("SimulationControlHandler", (ControlHandler,), {"simulation": simulation})


def _result(simulation: Simulation, request: Request) -> tuple[int, object]:
    route = ROUTES.get((request.method, request.path))
    if route is None:
        known = [f"{method} {path}" for method, path in ROUTES]
        return 404, {"error": "no such call", "calls": known}
    try:
        result = route(simulation, request)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}
    return (204 if result is None else 200), result


def _body(request: Request) -> dict[str, Any]:
    if request.body is None:
        raise ValueError("the body must be a JSON object")
    body: Json = request.body
    return body
