"""A Python client of the endpoint, blocking and asyncio; needs neither torch nor Ray.

from diffusiontalker.client import Client

with Client("http://127.0.0.1:8000") as client:
animation = client.animate("speech.wav", emotion="happy")
print(animation.fps, animation.channel("jawOpen").max())
"""

from diffusiontalker.client.calls import Animation, EndpointError
from diffusiontalker.client.http import AsyncClient, Client
from diffusiontalker.client.streams import AsyncStream, Frames, Stream

__all__ = ["Animation", "AsyncClient", "AsyncStream", "Client", "EndpointError", "Frames", "Stream"]
