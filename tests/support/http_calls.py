"""Requests to the HTTP routes of a tiny endpoint, what they must give, and the one shape of errors."""

import httpx
import numpy as np
from serving_app import TOLERANCE
from sounds import speech, wav
from tiny_student import tiny_bundle

from diffusiontalker.inference import animate, embed, make_voice

BUNDLE = tiny_bundle()
SOUND = wav(speech(1.2))


def post(client: httpx.Client, content=SOUND, **query) -> httpx.Response:
    return client.post("/v1/animations", content=content, params=query)


def told(response: httpx.Response, status: int, code: str) -> str:
    """The message of an error in the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert list(response.json()) == ["error"]
    assert set(error) <= {"code", "message", "retry_after_s"}
    assert error["code"] == code
    if "retry_after_s" in error:
        assert int(response.headers["retry-after"]) >= error["retry_after_s"]
    return error["message"]


def is_close(response: httpx.Response, expected: np.ndarray) -> None:
    assert response.status_code == 200, response.text
    np.testing.assert_allclose(np.asarray(response.json()["frames"]), expected, atol=TOLERANCE)


def offline(**options) -> np.ndarray:
    return animate(BUNDLE, speech(1.2), **options).coefficients


def voice_of(waveform: np.ndarray):
    identity, emotion = embed(BUNDLE, waveform)
    return make_voice(name="v", identity=identity, emotion=emotion, bundle_digest=BUNDLE.digest, provenance={})
