"""The stages of one animation, each on its own inputs, so that it can be timed alone."""

import logging
from collections.abc import Callable, Iterator

import torch

from diffusiontalker.audio import timebase
from diffusiontalker.audio.log_mel import log_mel
from diffusiontalker.benchmarks.students import some_voice
from diffusiontalker.diffusion import frame_noise
from diffusiontalker.evaluation import noise
from diffusiontalker.face import FORMATS, MotionError
from diffusiontalker.inference import Bundle, animate
from diffusiontalker.inference.pipeline import finished_frames
from diffusiontalker.models import LogMelEncoder, frame_mask

logger = logging.getLogger(__name__)

Stages = dict[str, Callable[[], object]]
"""Name -> what is timed, in inference mode."""


@torch.inference_mode()
def engine_stages(bundle: Bundle, *, seconds: float) -> Stages:
    """What the engine computes, and the whole animation, for so many seconds of sound."""
    talker, samples, voice = bundle.talker, noise(seconds), some_voice(bundle)
    sound, lengths = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    features = bundle.networks.encode(sound, lengths)
    frames = timebase.motion_frames(len(samples), motion_fps=talker.motion_fps)
    given = (
        frame_noise([0], num_frames=frames, channels=len(talker.channel_names)),
        torch.ones(1),
        talker.to_motion_rate(features, frames=frames),
        talker.personalizer(*(torch.from_numpy(one)[None] for one in (voice.identity, voice.emotion))),
        torch.ones(1, frames, 1),
    )
    return {
        "whole, style from the sound": lambda: animate(bundle, samples),
        "whole, with a voice": lambda: animate(bundle, samples, voice=voice),
        "encoder, log-mel included": lambda: bundle.networks.encode(sound, lengths),
        "one step of the denoiser": lambda: bundle.networks.denoise(*given),
    }


@torch.inference_mode()
def shared_stages(bundle: Bundle, *, seconds: float) -> Stages:
    """What is the same on every engine, all formats of the motion included."""
    talker, samples = bundle.talker, noise(seconds)
    sound, lengths = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    features = bundle.networks.encode(sound, lengths)
    heard = frame_mask(torch.tensor([features.shape[1]]), features.shape[1])
    embeddings = talker.personalizer.embed(features, heard)
    sizes = {
        "num_frames": timebase.motion_frames(len(samples), motion_fps=talker.motion_fps),
        "channels": len(talker.channel_names),
    }
    motion = talker.statistics.denormalize(frame_noise([0], **sizes))[0].numpy()
    mels: Stages = {"log-mel": lambda: log_mel(sound)} if isinstance(talker.encoder, LogMelEncoder) else {}
    return {
        **mels,
        "personalizer, from the sound": lambda: talker.personalizer(*talker.personalizer.embed(features, heard)),
        "personalizer, of a voice": lambda: talker.personalizer(*embeddings),
        "features at motion rate": lambda: talker.to_motion_rate(features, frames=sizes["num_frames"]),
        "noise": lambda: frame_noise([0], **sizes),
        "finishing": lambda: finished_frames(talker, motion),
        **dict(_formats(bundle, seconds=seconds)),
    }


def _formats(bundle: Bundle, *, seconds: float) -> Iterator[tuple[str, Callable[[], object]]]:
    """Writing in every format, in memory; formats that are not installed are told of and left out."""
    clip = animate(bundle, noise(seconds))
    for name, known in FORMATS.items():
        if known.encode is None:
            continue
        try:
            known.require_installed()
        except MotionError as error:
            logger.warning("format %s is not measured: %s", name, error)
            continue
        yield f"as {name}", lambda encode=known.encode: encode(clip, None, None)
