"""Run as a program by `decode_process`: decodes one piece of audio after the other, from stdin to stdout.

Here hostile data meets C decoders, so this process holds little: no torch, no secrets in its environment, a limit of
memory, and no right to write files. It ends when stdin does. Messages are lengths and bytes, never pickles, so that
taking over this process gives nothing of the other one.
"""

import dataclasses
import importlib
import importlib.util
import json
import os
import resource
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

REQUEST = struct.Struct("<IQ")
"""Bytes of the JSON with `name` and `limits`, bytes of the audio; both follow."""
REPLY = struct.Struct("<cQ")
"""Kind, and bytes that follow."""
READY, SAMPLES, REFUSED, NO_MEMORY, FAILED = b"R", b"S", b"E", b"M", b"F"
"""Ready to decode; float32 samples; JSON with `cause` and `message`; nothing (it ends); a traceback (it ends)."""


def main(memory_bytes: int) -> None:
    """Serves until stdin ends.

    Args:
        memory_bytes: what decoding may allocate beyond what the process needs to be ready.
    """
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # Whatever a library prints is no reply.

    def reply(kind: bytes, content: Any = b"") -> None:
        replies.write(REPLY.pack(kind, memoryview(content).nbytes))
        replies.write(content)
        replies.flush()

    try:
        waveform = _waveform_module()
        _limit_resources(memory_bytes)
        reply(READY)
        while _serve_one(waveform, sys.stdin.buffer, reply):
            pass
    except MemoryError:
        reply(NO_MEMORY)
    except Exception:
        reply(FAILED, traceback.format_exc().encode(errors="replace"))


def _serve_one(waveform: Any, requests: BinaryIO, reply: Callable[..., None]) -> bool:
    head = requests.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return False
    options_bytes, audio_bytes = REQUEST.unpack(head)
    options = json.loads(requests.read(options_bytes))
    content = requests.read(audio_bytes)
    if len(content) < audio_bytes:
        return False
    try:
        samples = waveform.read_waveform(
            content, limits=waveform.AudioLimits(**options["limits"]), name=options["name"]
        )
    except waveform.AudioError as error:
        reply(REFUSED, json.dumps({"cause": error.cause, "message": str(error)}).encode())
    else:
        reply(SAMPLES, samples.data)
    return True


def _waveform_module() -> Any:
    """`audio.waveform` without the rest of its room, which brings torch: 2 s and 250 MB that decoding does not need."""
    spec = importlib.util.find_spec("diffusiontalker.audio")
    assert spec is not None, "the package that this file belongs to cannot be found"
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    return importlib.import_module("diffusiontalker.audio.waveform")


def _limit_resources(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        used_bytes = int(statistics.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes + memory_bytes, used_bytes + memory_bytes))


def encode_request(content: bytes, *, name: str, limits: Any) -> bytes:
    """What goes before the audio; `limits` are `AudioLimits`."""
    options = json.dumps({"name": name, "limits": dataclasses.asdict(limits)}).encode()
    return REQUEST.pack(len(options), len(content)) + options


if __name__ == "__main__":
    main(int(sys.argv[1]))
