"""The sentence that a finished talker animates: proof that can be heard and seen."""

import dataclasses

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.data import EMOTIONS, SPEAKER_NAMES, speak
from diffusiontalker.face import Rig, write_motion
from diffusiontalker.face.arkit import is_arkit
from diffusiontalker.inference import Bundle, animate
from diffusiontalker.orchestration.run_folder import RunFolder


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class HelloConfig:
    """The sentence that the finished talker animates."""

    text: str = "Hello! I have just learned how to talk, and this is my very first sentence."
    """English text."""
    voice: str = SPEAKER_NAMES[0]
    """Synthetic speaker whose voice says it; the talker hears only the sound."""
    emotion: str = "neutral"
    """Emotion in which it is said."""

    def __post_init__(self) -> None:
        """Checks the names now, not after hours of training."""
        for what, name, known in (("voice", self.voice, SPEAKER_NAMES), ("emotion", self.emotion, EMOTIONS)):
            if name not in known:
                raise ValueError(f"{what} is '{name}', expected one of {', '.join(known)}")


def say_hello(config: HelloConfig, bundle: Bundle, folder: RunFolder, *, rig: Rig) -> None:
    """Writes `hello.wav`, `hello.csv` and `hello.glb`, for vertices `hello.npz`, unless they are there."""
    has_weights = is_arkit(bundle.talker.channel_names)
    if folder.hello("glb" if has_weights else "npz").exists():
        return
    spoken = speak(config.text, voice=config.voice, emotion=config.emotion, motion_fps=bundle.motion_fps)
    write_wav(spoken.waveform, folder.hello("wav"), overwrite=True)
    motion = animate(bundle, spoken.waveform)
    if not has_weights:
        write_motion(motion, folder.hello("npz"), overwrite=True)
        return
    write_motion(motion, folder.hello("csv"), overwrite=True)
    write_motion(motion, folder.hello("glb"), rig=rig, audio_path=folder.hello("wav"), overwrite=True)
