"""The other side of `decode_worker`: starts one, hands it audio, reads what it answers, and takes nothing on trust.

Everything here blocks and belongs into a thread, but `kill`, which may be called from any.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float32

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.audio.waveform import AudioCause, AudioError, AudioLimits
from diffusiontalker.serving import decode_worker
from diffusiontalker.serving.decode_worker import FAILED, NO_MEMORY, READY, REFUSED, REPLY, SAMPLES

_MAX_TEXT_BYTES = 1 << 16
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 24), "MALLOC_TRIM_THRESHOLD_": str(1 << 26)}
"""For glibc: else every recording's arrays are given back to the system and asked for anew, page by page, which took
two thirds of the CPU time of decoding 3 s."""


class DecoderDiedError(Exception):
    """The process ended, or answered nonsense; the message holds what is known, for the log."""


class DecoderMemoryError(Exception):
    """The audio needs more memory than a process may have; the process has ended."""


class DecodeProcess:
    """One process that decodes.

    Args:
        memory_bytes: what decoding may allocate.
    """

    def __init__(self, *, memory_bytes: int) -> None:
        self._popen = subprocess.Popen(
            # -P: the modules of this folder are no top-level modules. No shell, no inherited files, no secrets.
            [sys.executable, "-P", decode_worker.__file__, str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,  # An interrupt at the terminal is for the server, which still needs it to drain.
        )
        assert self._popen.stdin is not None, "asked for above"
        assert self._popen.stdout is not None, "asked for above"
        self._stdin, self._stdout = self._popen.stdin, self._popen.stdout

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    def wait_ready(self) -> None:
        """Returns when it can decode.

        Raises:
            DecoderDiedError: when it cannot.
        """
        kind, num_bytes = self._read_head()
        if kind != READY:
            raise self._died(kind, num_bytes)

    def decode(self, content: bytes, *, name: str, limits: AudioLimits) -> Float32[np.ndarray, " samples"]:
        """(samples,) float32 at 16 kHz; see `audio.waveform.read_waveform`.

        Raises:
            AudioError: for audio that cannot be used; the process is ready for the next.
            DecoderMemoryError: when the budget is too small.
            DecoderDiedError: when it crashed or was killed.
        """
        with contextlib.suppress(BrokenPipeError):  # It may have answered before it had read everything.
            self._stdin.write(decode_worker.encode_request(content, name=name, limits=limits))
            self._stdin.write(content)
            self._stdin.flush()
        kind, num_bytes = self._read_head()
        if kind == SAMPLES and num_bytes <= 4 * SAMPLE_RATE_HZ * (limits.max_seconds + 1.0) and num_bytes % 4 == 0:
            samples = np.empty(num_bytes // 4, dtype=np.float32)
            self._read_into(samples.data.cast("B"))
            return samples
        if kind == REFUSED and num_bytes <= _MAX_TEXT_BYTES:
            raise _audio_error(self._read(num_bytes))
        if kind == NO_MEMORY:
            raise DecoderMemoryError
        raise self._died(kind, num_bytes)

    def kill(self) -> None:
        """Ends it at once, whatever it does."""
        self._popen.kill()

    def reap(self) -> None:
        """Ends it, waits for its end and frees its pipes."""
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _read_head(self) -> tuple[bytes, int]:
        return REPLY.unpack(self._read(REPLY.size))

    def _read(self, num_bytes: int) -> bytes:
        content = bytearray(num_bytes)
        self._read_into(memoryview(content))
        return bytes(content)

    def _read_into(self, target: memoryview) -> None:
        position = 0
        while position < len(target):
            num_bytes = self._stdout.readinto(target[position:])  # pyright: ignore[reportAttributeAccessIssue]
            if not num_bytes:
                raise DecoderDiedError(f"it ended with code {self._popen.wait()}")
            position += num_bytes

    def _died(self, kind: bytes, num_bytes: int) -> DecoderDiedError:
        if kind == FAILED and num_bytes <= _MAX_TEXT_BYTES:
            return DecoderDiedError(self._read(num_bytes).decode(errors="replace"))
        return DecoderDiedError(f"it answered {kind!r} with {num_bytes} bytes")


def _audio_error(content: bytes) -> AudioError:
    """The error that a process reports."""
    try:
        fields = json.loads(content)
        cause, message = fields["cause"], str(fields["message"])
    except (ValueError, KeyError, TypeError):
        raise DecoderDiedError("it reported an error that cannot be read") from None
    if cause not in get_args(AudioCause):
        raise DecoderDiedError("it reported an error of an unknown kind")
    return AudioError(message, cause=cause)


def _environment() -> dict[str, str]:
    """What Python needs to start and to find this package as this process does."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL") if name in os.environ}
    paths = os.pathsep.join(path for path in sys.path if path and Path(path).exists())
    return kept | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **_KEPT_MEMORY}
