"""HTTP and WebSocket edge: FastAPI routes over a `Core`. Knows no Ray."""

from diffusiontalker.serving.http.app import build_http

__all__ = ["build_http"]
