"""What both clients have in common: the requests as plain data, and what is made of the answers."""

import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np

Sound = str | Path | bytes
"""A sound file: its path, or its content."""

_TEMPORARY = {429: "busy", 503: "unavailable"}
"""What proxies mean that know nothing of our errors."""


class EndpointError(RuntimeError):
    """The endpoint refused, or cannot be reached; `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.retry_after_s = code, message, status, retry_after_s

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in ("busy", "unavailable")


@dataclasses.dataclass(frozen=True, slots=True)
class Animation:
    """A face animation: frame `i` is valid at `i / fps` seconds."""

    coefficients: np.ndarray
    """(frames, channels) float32 in [0, 1]."""
    fps: float
    channel_names: tuple[str, ...]

    def channel(self, name: str) -> np.ndarray:
        """The (frames,) curve of one channel.

        Raises:
            KeyError: when there is no such channel.
        """
        if name not in self.channel_names:
            raise KeyError(f"no channel '{name}'; there are {', '.join(self.channel_names)}")
        return self.coefficients[:, self.channel_names.index(name)]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP request."""

    method: str
    path: str
    query: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    files: Sequence[tuple[str, tuple[str, bytes]]] = ()
    body: Any = None

    def arguments(self) -> dict[str, Any]:
        """For httpx."""
        query = {name: value for name, value in self.query.items() if value is not None}
        arguments: dict[str, Any] = {"method": self.method, "url": self.path, "params": query}
        if self.files:
            arguments["files"] = list(self.files)
        if self.body is not None:
            arguments["json"] = self.body
        return arguments


def format_of(out: Path) -> str:
    """The format that a file's name ends in, as the endpoint calls it: of `x.csv` csv, of `x.beat.json` beat."""
    *_, before, last = ("", *(suffix.lstrip(".").lower() for suffix in out.suffixes[-2:] or ("",)))
    return before if before in ("livelink", "beat", "a2f") else last


def animation_call(audio: Sound, reference: Sound | None, motion_format: str, options: Mapping[str, Any]) -> Call:
    """`POST /v1/animations`."""
    files = [("audio", _file(audio))]
    if reference is not None:
        files.append(("reference", _file(reference)))
    return Call(method="POST", path="/v1/animations", query={**options, "format": motion_format}, files=files)


def enrolment_call(name: str, recordings: Sequence[Sound], student: str | None) -> Call:
    """`POST /v1/voices`."""
    files = [("audio", _file(one)) for one in recordings]
    return Call(method="POST", path="/v1/voices", query={"name": name, "student": student}, files=files)


def blend_call(name: str, weights: Mapping[str, float]) -> Call:
    """`POST /v1/voices/blend`."""
    voices = [{"id": voice_id, "weight": weight} for voice_id, weight in weights.items()]
    return Call(method="POST", path="/v1/voices/blend", body={"name": name, "voices": voices})


def voice_call(method: str, voice_id: str, body: Any = None) -> Call:
    """A method of `/v1/voices/{id}`."""
    return Call(method=method, path=f"/v1/voices/{quote(voice_id, safe='')}", body=body)


def animation_of(content: bytes) -> Animation:
    """Of an answer in the format npz."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Animation(arrays["coefficients"], float(arrays["fps"]), tuple(arrays["names"].tolist()))


def checked(response: httpx.Response) -> httpx.Response:
    """The response when it is a good one.

    Raises:
        EndpointError: with what the server said.
    """
    if response.is_success:
        return response
    error: dict[str, Any] = {}
    with contextlib.suppress(ValueError, KeyError, TypeError):
        error = dict(response.json()["error"])
    after = error.get("retry_after_s")
    if after is None and response.headers.get("retry-after", "").isdigit():
        after = float(response.headers["retry-after"])
    raise EndpointError(
        str(error.get("code") or code_of(response.status_code)),
        str(error.get("message") or response.text[:200] or response.reason_phrase),
        status=response.status_code,
        retry_after_s=after,
    )


def code_of(status: int) -> str:
    """Of an answer that says nothing else."""
    return _TEMPORARY.get(status, f"http_{status}")


def unreached(error: httpx.TransportError) -> EndpointError:
    """When there is no answer at all."""
    if isinstance(error, httpx.TimeoutException):
        return EndpointError("no_answer", f"the endpoint did not answer in time ({type(error).__name__})")
    return EndpointError("unavailable", f"the endpoint cannot be reached ({error or type(error).__name__})")


def waits_s(tries: int) -> Iterator[float]:
    """How long to wait before each further try, when the server does not say."""
    return (0.5 * 2.0**number for number in range(tries))


def headers_of(key: str | None) -> dict[str, str]:
    """With a bearer key where there is one."""
    return {} if key is None else {"authorization": f"Bearer {key}"}


def error_of(message: Mapping[str, Any]) -> EndpointError:
    """Of a stream's message of type `error`."""
    error = message.get("error", {})
    return EndpointError(
        error.get("code", "internal"),
        error.get("message", json.dumps(message)),
        retry_after_s=error.get("retry_after_s"),
    )


def _file(sound: Sound) -> tuple[str, bytes]:
    if isinstance(sound, bytes):
        return "audio", sound
    return Path(sound).name, Path(sound).read_bytes()
