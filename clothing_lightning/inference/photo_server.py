"""The server behind the page that tries a network: two addresses, nothing else.

Photos come one at a time, as the bodies of requests: no form is parsed, and no name or
path of a client is used.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from socket import create_server, socket
from tempfile import TemporaryDirectory
from threading import Lock

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clothing_lightning.errors import ConfigError, ImageError
from clothing_lightning.inference.photo_answer import answering, no_explanation
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.reports.app_page import AppFacts, app_page

MOST_BYTES = 50_000_000
"""Larger files are refused while they come in. Phones write 3 to 25 MB."""

MEDIA_TYPE = "application/octet-stream"
"""What a photo has to be sent as: another site's page cannot send it unasked."""

_HEADERS: Mapping[str, str] = {
    # What the page may load stands in the page; this cannot stand there.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LOOPBACK = ("127.0.0.1", "localhost")
_ANY = "0.0.0.0"


def photo_app(predictor: Predictor, host: str) -> Starlette:
    """Make the application.

    One photo is answered at a time: it may take a gigabyte while it is decoded. Only
    requests that call the server by a name of its own are answered, so that no other
    site can point its name at it; a server that listens on all addresses, 0.0.0.0, does
    not know its names, and answers to any.

    Args:
        predictor: The network, and the accuracy that its answers are to reach.
        host: Address or name of this machine that the server listens on.
    """
    page, answer = _page(predictor, host), answering(predictor)
    one_at_a_time = Lock()

    def locked(file: Path) -> Response:
        with one_at_a_time:
            try:
                return JSONResponse(answer(file))
            except ImageError as err:
                return _refusal(422, str(err))
            except MemoryError:
                return _refusal(422, "takes more memory than there is; scale it down")

    def show(request: Request) -> Response:
        return HTMLResponse(page)

    async def predict(request: Request) -> Response:
        if request.headers.get("content-type") != MEDIA_TYPE:
            return _refusal(415, f"a photo is sent as {MEDIA_TYPE}")
        with TemporaryDirectory() as folder:
            file = Path(folder) / "photo"
            try:
                if not await _receive(request, file):
                    return _refusal(413, f"is larger than {MOST_BYTES / 1e6:.0f} MB")
            except ClientDisconnect:
                return Response(status_code=400)
            return await run_in_threadpool(locked, file)

    return Starlette(
        routes=[Route("/", show), Route("/photos", predict, methods=["POST"])],
        middleware=[
            Middleware(_WithHeaders),
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=_names_of(host),
                www_redirect=False,
            ),
        ],
    )


async def _receive(request: Request, file: Path) -> bool:
    """Write the body of a request to a file; False if it is too large."""
    size = 0
    with file.open("wb") as out:
        async for part in request.stream():
            size += len(part)
            if size > MOST_BYTES:
                return False
            out.write(part)
    return True


def _refusal(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status)


class _WithHeaders:
    """Adds our headers to every response, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers)


def _names_of(host: str) -> list[str]:
    """Names under which a server that listens on an address may be asked."""
    if host == _ANY:
        return ["*"]
    return list(_LOOPBACK) if host in _LOOPBACK else [host.lower()]


def _page(predictor: Predictor, host: str) -> str:
    about = predictor.model.description
    notes = [no_explanation(predictor)]
    if about.crops_to_boxes:
        notes.append(
            "This network was trained on garments cut out of their photos. Cut them "
            "out here as well for answers as good as its test's."
        )
    if predictor.calibration is None:
        notes.append(
            "Nothing is known of its validation images: probabilities are as the "
            "network gives them, and may be too high or too low."
        )
    if host in _LOOPBACK:
        notes.append("Photos stay on this computer, and are not kept.")
    return app_page(
        AppFacts(
            title=predictor.title,
            backbone=about.backbone,
            class_count=len(about.class_names),
            calibration=predictor.calibration,
            threshold=predictor.threshold or 0.0,
            notes=tuple(filter(None, notes)),
            most_bytes=MOST_BYTES,
            media_type=MEDIA_TYPE,
        )
    )


def listen(host: str, port: int) -> socket:
    """Open the socket of a server.

    Args:
        host: Address or name of this machine.
        port: 0 takes any that is free.

    Raises:
        ConfigError: If there is no such address here, or the port is taken.
    """
    try:
        return create_server((host, port))
    except OSError as err:
        raise ConfigError(
            f"--host {host} --port {port}: cannot be listened on ({err.strerror}). "
            f"Name another port, such as {port + 1}, or 0 for any that is free."
        ) from err


def url_of(host: str, opened: socket) -> str:
    """Address of the page, by a name that the server answers to.

    Args:
        host: What the server was told to listen on.
        opened: Its socket.
    """
    port = opened.getsockname()[1]
    return f"http://{'127.0.0.1' if host == _ANY else host}:{port}"


def serve(app: Starlette, opened: socket) -> None:
    """Serve an application until the user ends the process."""
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", server_header=False, ws="none"
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[opened])
