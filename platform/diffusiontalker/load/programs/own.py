"""This package's endpoint on the loopback, with or without Ray, for measurements.

python -m diffusiontalker.load.programs.own --bundle BUNDLE --port 8000
python -m diffusiontalker.load.programs.own --bundle BUNDLE --port 8000 --ray
"""

import argparse
import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

import uvicorn

from diffusiontalker.load.curves import RAY_REPORTS_S
from diffusiontalker.load.programs.parent import end_with_parent
from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.engine import EngineConfig
from diffusiontalker.serving.http import build_http
from diffusiontalker.serving.plain import make_core


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--max-streams", type=int, default=256)
    parser.add_argument("--ray", action="store_true")
    asked = parser.parse_args()
    end_with_parent()
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as voices:
        arguments = ServingArguments.model_validate({
            "bundle": str(asked.bundle.resolve()),
            "voices": voices,
            "engine": EngineConfig(threads=asked.threads, max_streams=asked.max_streams),
            "limits": {"max_streams_per_key": asked.max_streams},
        })  # fmt: skip
        if asked.ray:
            _serve_on_ray(arguments, port=asked.port)
        else:
            _serve(arguments, port=asked.port)


def _serve(arguments: ServingArguments, *, port: int) -> None:
    core = make_core(arguments)
    print(f"metrics at http://127.0.0.1:{port}/metrics", flush=True)
    config = uvicorn.Config(build_http(core), host="127.0.0.1", port=port, log_level="warning", access_log=False)

    async def serve() -> None:
        try:
            await uvicorn.Server(config).serve()
        finally:
            await core.close()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())


def _serve_on_ray(arguments: ServingArguments, *, port: int) -> None:
    os.environ.setdefault("RAY_metrics_report_interval_ms", str(round(1e3 * RAY_REPORTS_S)))
    import ray

    from diffusiontalker.serving.local import Address, serving, wait_until_interrupted

    with contextlib.suppress(KeyboardInterrupt), serving(arguments, Address(port=port, grpc_port=0)):
        print(f"metrics at http://127.0.0.1:{ray.nodes()[0]['MetricsExportPort']}/metrics", flush=True)
        wait_until_interrupted()


if __name__ == "__main__":
    main()
