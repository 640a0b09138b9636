"""MediaPipe's face landmarker as a tracker: the optional extra `track`, with a model file that the user supplies.

The model is Google's `face_landmarker.task` (Apache-2.0), see
https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker; nothing is downloaded here.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from diffusiontalker.data.tracking.faces import TrackedFace, TrackerError
from diffusiontalker.data.tracking.video import Picture

_MOST_FACES = 2
"""Faces looked for: two tell that there are several."""


class MediaPipeTracker:
    """52 blend shape scores per picture (no tongueOut); with several faces, those of the largest.

    Raises:
        TrackerError: when MediaPipe is not installed, or the model is missing or no face landmarker.
    """

    def __init__(self, model: Path) -> None:
        try:
            import mediapipe  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise TrackerError(
                "tracking needs MediaPipe, which is not installed; pip install 'diffusiontalker[track]'"
            ) from None
        try:
            self._model = model.read_bytes()
        except OSError as error:
            raise TrackerError(
                f"{model}: the model cannot be read ({error.strerror}); download face_landmarker.task from "
                "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker and give its path"
            ) from None
        self._mediapipe = mediapipe
        self._identity = f"mediapipe {mediapipe.__version__}, model {hashlib.sha256(self._model).hexdigest()[:16]}"
        try:
            self._landmarker().close()
        except (RuntimeError, ValueError, OSError) as error:
            raise TrackerError(
                f"{model}: is no face landmarker of MediaPipe ({error}); see its documentation"
            ) from None

    @property
    def identity(self) -> str:
        """MediaPipe's version and the model's digest."""
        return self._identity

    def track(self, pictures: Iterable[Picture]) -> Iterator[TrackedFace | None]:
        """Follows the face of one video, in MediaPipe's video mode."""
        time_ms = -1
        with self._landmarker() as landmarker:
            for picture in pictures:
                time_ms = max(time_ms + 1, round(picture.time_s * 1000))  # must grow from picture to picture
                image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=picture.image)
                yield _largest(landmarker.detect_for_video(image, time_ms))

    def _landmarker(self) -> Any:
        tasks = self._mediapipe.tasks
        options = tasks.vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=self._model),
            running_mode=tasks.vision.RunningMode.VIDEO,
            num_faces=_MOST_FACES,
            output_face_blendshapes=True,
        )
        return tasks.vision.FaceLandmarker.create_from_options(options)


def _largest(result: Any) -> TrackedFace | None:
    if not result.face_blendshapes:
        return None
    heights = [max(point.y for point in face) - min(point.y for point in face) for face in result.face_landmarks]
    scores = result.face_blendshapes[heights.index(max(heights))]
    coefficients = {score.category_name: float(score.score) for score in scores}
    return TrackedFace(coefficients=coefficients, num_faces=len(heights))
