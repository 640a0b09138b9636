"""A tiny student on a real server in a thread, and servers whose answers are known."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import uvicorn

from diffusiontalker.cli import main
from diffusiontalker.face import CHANNELS
from diffusiontalker.inference import Bundle, SamplingConfig, save_bundle
from diffusiontalker.load.processes import free_port
from diffusiontalker.models import DenoiserConfig, PersonalizerConfig, SpeechEncoderConfig, Talker, TalkerConfig
from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.http import build_http
from diffusiontalker.serving.plain import make_core

TINY = TalkerConfig(
    encoder=SpeechEncoderConfig(width=16, dilations=(1, 2), look_ahead_frames=2, dropout=0.0),
    personalizer=PersonalizerConfig(embedding_dim=8, personalized_dim=8, hidden_dim=8, num_heads=2),
    denoiser=DenoiserConfig(width=16, dilations=(1, 2), look_ahead_frames=1, dropout=0.0),
)


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        talker = Talker(
            TINY, speakers=["anna", "ben"], emotions=["neutral", "happy"], channel_names=CHANNELS, motion_fps=25.0
        )
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    save_bundle(Bundle(talker=talker.eval(), sampling=SamplingConfig(num_steps=2), card={"name": "tiny"}), path)
    return path


@pytest.fixture(scope="session")
def url(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The package's own endpoint, as it is without Ray; it takes three streams."""
    arguments = ServingArguments.model_validate({
        "bundle": str(bundle_path),
        "voices": str(tmp_path_factory.mktemp("voices")),
        "engine": {"max_streams": 3},
    })  # fmt: skip
    core = make_core(arguments)
    port = free_port()
    config = uvicorn.Config(build_http(core), host="127.0.0.1", port=port, log_level="error", access_log=False)
    server = uvicorn.Server(config)

    async def serve() -> None:
        await server.serve()
        await core.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    deadline = time.monotonic() + 30.0
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30.0)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def slow_url() -> Iterator[str]:
    """Answers anything after 20 ms for each request under way, as an endpoint does that has one core."""
    under_way = 0

    async def app(scope, receive, send) -> None:
        nonlocal under_way
        assert scope["type"] == "http"
        while (await receive()).get("more_body"):
            pass
        under_way += 1
        try:
            await asyncio.sleep(0.02 * under_way)
        finally:
            under_way -= 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30.0)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable:
    """The command line: code, standard output, standard error."""

    def run(*args: object) -> tuple[int, str, str]:
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
