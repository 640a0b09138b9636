"""What one would write instead of this endpoint: a bundle behind FastAPI, one request at a time per worker thread.

The honest opponent of `bench serve --against-plain`: the model is loaded once and warmed up, the endpoint is a plain
`def` that Starlette runs in its thread pool, decoding and animating are the package's own functions, the answer has the
same formats. It knows no batches, no live streams, no voices, no cache and no limits beyond those of decoding.

    python -m diffusiontalker.load.programs.plain_fastapi --bundle BUNDLE --port 8000
"""

import argparse
from pathlib import Path
from typing import Annotated

import anyio.to_thread
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, File, HTTPException, Query, Response

from diffusiontalker.audio.waveform import AudioError, read_waveform
from diffusiontalker.face import MotionError, encode_motion
from diffusiontalker.inference import AnimationError, Voice, animate, embed, load_bundle, make_voice
from diffusiontalker.load.programs.parent import end_with_parent


def build_app(bundle_path: Path, *, threads: int = 0, at_once: int = 0) -> FastAPI:
    """The application.

    Args:
        bundle_path: the student.
        threads: CPU threads of one computation; 0: as many as torch chooses.
        at_once: requests that compute at once; 0: Starlette's 40.
    """
    if threads:
        torch.set_num_threads(threads)
    bundle = load_bundle(bundle_path)
    for samples in (16_000, 48_000):
        animate(bundle, np.zeros(samples, dtype=np.float32))
    app = FastAPI()

    @app.get("/ready")
    async def ready() -> dict[str, str]:
        if at_once:
            anyio.to_thread.current_default_thread_limiter().total_tokens = at_once
        return {"status": "ready"}

    @app.post("/v1/animations")
    def animations(
        audio: Annotated[bytes, File()],
        reference: Annotated[bytes | None, File()] = None,
        voice: str | None = None,
        motion_format: Annotated[str, Query(alias="format")] = "json",
        seed: int = 0,
    ) -> Response:
        try:
            waveform = read_waveform(audio)
            speaker: Voice | str | None = voice
            if reference is not None:
                identity, emotion = embed(bundle, read_waveform(reference))
                speaker = make_voice(
                    name="reference", identity=identity, emotion=emotion, bundle_digest=bundle.digest, provenance={}
                )
            clip = animate(bundle, waveform, voice=speaker, seed=seed)
            return Response(encode_motion(clip, motion_format), media_type="application/octet-stream")
        except (AudioError, AnimationError, MotionError) as error:
            raise HTTPException(422, str(error)) from None

    return app


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=0)
    asked = parser.parse_args()
    end_with_parent()
    app = build_app(asked.bundle, threads=asked.threads, at_once=asked.at_once)
    uvicorn.run(app, host="127.0.0.1", port=asked.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
