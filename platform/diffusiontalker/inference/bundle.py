"""The bundle: a folder that holds everything needed to animate, and the proof that it is whole.

    config.json               format, network configuration, names, frame rate, sampling defaults, precision
    model.safetensors         weights, float32 or float16
    prototypes.safetensors    identity and emotion prototypes, one row per name in config.json
    statistics.json           mean and scale of every motion channel, by name
    card.json, README.md      the model card, for programs and for people
    manifest.json             bytes and SHA-256 of every file, written last, checked at load

Knows nothing about how a bundle is used.
"""

import copy
import dataclasses
import hashlib
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch

from diffusiontalker.config import ConfigError, from_plain, to_plain
from diffusiontalker.inference.bundle_files import (
    FORMAT,
    VERSION,
    BundleError,
    as_json,
    check_format,
    read_json,
    verified_files,
)
from diffusiontalker.inference.engines import EngineName, Networks, networks_of
from diffusiontalker.inference.model_card import render_card
from diffusiontalker.models import Talker, TalkerConfig
from diffusiontalker.storage import MANIFEST_NAME, StorageError, is_url, local_copy, new_folder

Precision = Literal["float32", "float16"]

_PROTOTYPES = ("personalizer.identity_prototypes", "personalizer.emotion_prototypes")
_STATISTICS = ("statistics.mean", "statistics.scale")
_MODEL_FILES = ("config.json", "model.safetensors", "prototypes.safetensors", "statistics.json")
_CARD_FILES = ("card.json", "README.md")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How a bundle is sampled unless the caller says otherwise."""

    num_steps: int = 16
    """DDIM steps."""
    temperature: float = 1.0
    """Scale of the initial noise: 0 gives the same, most likely motion for every seed, 1 the learnt variety."""
    guidance_scale: float = 1.0
    """Classifier-free guidance; 1 is none."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        if self.num_steps < 1:
            raise ValueError(f"num_steps is {self.num_steps}, expected at least 1")
        if not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature is {self.temperature}, expected 0 to 10")
        if not 0 <= self.guidance_scale <= 20:
            raise ValueError(f"guidance_scale is {self.guidance_scale}, expected 0 to 20")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _BundleConfig:
    """What `config.json` holds besides its format and version."""

    talker: TalkerConfig
    speakers: tuple[str, ...]
    emotions: tuple[str, ...]
    channel_names: tuple[str, ...]
    motion_fps: float
    sampling: SamplingConfig
    precision: Precision = "float32"  # what bundles without this key hold


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bundle:
    """A talker ready to animate, with its sampling defaults and its model card.

    Raises:
        BundleError: when the talker is in training mode, a weight is NaN, infinite or beyond what `precision` holds, or
            the talker's device does not have the engine.
    """

    talker: Talker
    """The network, in eval mode; with precision float16 a copy whose weights are rounded to what is stored."""
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)
    """Defaults of every animation."""
    card: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Model card, plain JSON data; `inference.model_card` names the keys that appear in the README."""
    precision: Precision = "float32"
    """How weights and prototypes are stored; float16 halves them. Change it with an empty `digest`, 0 `file_bytes`."""
    digest: str = ""
    """SHA-256 over configuration, weights, prototypes and statistics (not the card); computed when empty."""
    file_bytes: int = 0
    """Bytes of the files that animation needs; computed when 0."""
    engine: EngineName = "auto"
    """What animates with it; no part of the digest, as nothing of it is stored."""
    networks: Networks = dataclasses.field(init=False, repr=False)
    """The talker's networks in that engine."""

    def __post_init__(self) -> None:
        """Rounds the talker to the precision; computes digest and size of a bundle that was not loaded."""
        if self.talker.training:
            raise BundleError("the talker is in training mode, a bundle animates: call talker.eval() first")
        if self.precision == "float16":
            object.__setattr__(self, "talker", _rounded_to_half(self.talker))
        object.__setattr__(self, "networks", networks_of(self.talker, self.engine))
        if not self.digest:
            contents = _model_contents(self)
            digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
            object.__setattr__(self, "digest", _digest(digests))
            object.__setattr__(self, "file_bytes", sum(map(len, contents.values())))

    @property
    def motion_fps(self) -> float:
        """Frame rate of its animations."""
        return self.talker.motion_fps

    @property
    def parameters(self) -> int:
        """Number of all parameters that animation needs, frozen ones included."""
        return sum(parameter.numel() for parameter in self.talker.parameters())


def save_bundle(bundle: Bundle, path: Path | str, *, overwrite: bool = False) -> None:
    """Writes a bundle folder at a path or URL; nobody can load it before it is whole.

    Raises:
        ArtefactError: when `path` exists (unless `overwrite`) or cannot be written.
        BundleError: when a weight is NaN or infinite, or the card holds more than plain data.
    """
    contents = _model_contents(bundle)
    try:
        contents["card.json"] = as_json(bundle.card)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path}: the model card is not plain JSON data ({error}); use strings and numbers") from None
    contents["README.md"] = render_card(bundle.card, facts=_facts(bundle)).encode()
    files = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in contents.items()
    }
    with new_folder(path, overwrite=overwrite) as folder:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST_NAME).write_bytes(as_json({"format": FORMAT, "version": VERSION, "files": files}))


def load_bundle(path: Path | str, *, device: torch.device | str = "cpu", engine: EngineName = "auto") -> Bundle:
    """Reads the bundle at a path or URL after checking every file against the manifest.

    The global random state is left as it was; parameters do not require gradients.

    Args:
        path: of its folder.
        device: that holds it.
        engine: that animates with it.

    Raises:
        BundleError: when there is no bundle, a file is missing or damaged, the contents do not fit together, the
            device cannot be used, or does not have the engine.
    """
    if not is_url(path):
        return _load(Path(path), device=device, engine=engine)
    try:
        with local_copy(path, is_guarded=True) as folder:
            try:
                return _load(folder, device=device, engine=engine)
            except BundleError as error:
                raise BundleError(str(error).replace(str(folder), str(path))) from None
    except StorageError as error:
        raise BundleError(f"no bundle: {error}") from None


def _load(path: Path, *, device: torch.device | str, engine: EngineName) -> Bundle:
    entries = verified_files(path, required=(*_MODEL_FILES, *_CARD_FILES))
    config = _read_config(path)
    with torch.random.fork_rng(devices=[]):
        talker = Talker(
            config.talker,
            speakers=config.speakers,
            emotions=config.emotions,
            channel_names=config.channel_names,
            motion_fps=config.motion_fps,
        )
    state = _read_tensors(path / "model.safetensors")
    state |= {f"personalizer.{name}": rows for name, rows in _read_tensors(path / "prototypes.safetensors").items()}
    state |= _read_statistics(path / "statistics.json", channel_names=config.channel_names)
    try:
        talker.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{path}: weights do not fit config.json ({reason}); export the bundle again") from None
    try:
        talker = talker.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"{path}: device '{device}' cannot be used ({reason}); try device 'cpu'") from None
    return Bundle(
        talker=talker.eval().requires_grad_(False),
        engine=engine,
        sampling=config.sampling,
        card=read_json(path / "card.json"),
        precision=config.precision,
        digest=_digest({name: entries[name].sha256 for name in _MODEL_FILES}),
        file_bytes=sum(entries[name].bytes for name in _MODEL_FILES),
    )


def _model_contents(bundle: Bundle) -> dict[str, bytes]:
    """The files that decide what a bundle predicts; equal bundles give equal bytes."""
    talker = bundle.talker
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in talker.state_dict().items()}
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise BundleError(f"weight '{name}' holds NaN or infinite values: the training diverged; do not deploy it")
    mean, scale = (state.pop(name).tolist() for name in _STATISTICS)
    if bundle.precision == "float16":
        state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    prototypes = {name.removeprefix("personalizer."): state.pop(name) for name in _PROTOTYPES}
    config = _BundleConfig(
        talker=talker.config,
        speakers=talker.speakers,
        emotions=talker.emotions,
        channel_names=talker.channel_names,
        motion_fps=talker.motion_fps,
        sampling=bundle.sampling,
        precision=bundle.precision,
    )
    statistics = {name: {"mean": mean[index], "scale": scale[index]} for index, name in enumerate(talker.channel_names)}
    return {
        "config.json": as_json({"format": FORMAT, "version": VERSION, **to_plain(config)}),
        "model.safetensors": safetensors.torch.save(state),
        "prototypes.safetensors": safetensors.torch.save(prototypes),
        "statistics.json": as_json(statistics),
    }


def _rounded_to_half(talker: Talker) -> Talker:
    """The talker as float16 stores it, statistics untouched: itself where nothing changes, else a copy."""
    limit = torch.finfo(torch.float16).max
    for name, tensor in _weights(talker).items():
        largest = tensor.abs().max().item() if tensor.numel() else 0.0
        if limit < largest < float("inf"):
            raise BundleError(
                f"weight '{name}' reaches {largest:.6g}, float16 holds at most {limit:g}; store it as 'float32'"
            )
    if all(torch.equal(tensor, tensor.half().to(tensor.dtype)) for tensor in _weights(talker).values()):
        return talker
    talker = copy.deepcopy(talker)
    for tensor in _weights(talker).values():
        tensor.copy_(tensor.half())
    return talker


def _weights(talker: Talker) -> dict[str, torch.Tensor]:
    """The floating-point tensors that `precision` is about."""
    state = talker.state_dict().items()
    return {name: tensor for name, tensor in state if tensor.is_floating_point() and name not in _STATISTICS}


def _facts(bundle: Bundle) -> dict[str, Any]:
    talker = bundle.talker
    return {
        "parameters": f"{bundle.parameters:,}",
        "precision": f"{bundle.precision} as stored, float32 in computing",
        "size": f"{bundle.file_bytes / 1e6:.1f} MB ({bundle.precision} as stored)",
        "speech encoder": talker.config.encoder.family,
        "motion": f"{len(talker.channel_names)} channels at {bundle.motion_fps:g} fps",
        "speakers": ", ".join(talker.speakers),
        "emotions": ", ".join(talker.emotions),
        "sampling": f"{bundle.sampling.num_steps} steps, temperature {bundle.sampling.temperature:g}, "
        f"guidance {bundle.sampling.guidance_scale:g}",
        "digest": bundle.digest,
    }


def _read_config(path: Path) -> _BundleConfig:
    plain = read_json(path / "config.json")
    check_format(plain, where=path / "config.json")
    fields = {key: value for key, value in plain.items() if key not in ("format", "version")}
    try:
        return from_plain(_BundleConfig, fields, source=str(path / "config.json"))
    except ConfigError as error:
        raise BundleError(f"{error}; export the bundle again") from None


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise BundleError(f"{path}: cannot be read as safetensors ({error}); export the bundle again") from None


def _read_statistics(path: Path, *, channel_names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    plain = read_json(path)
    try:
        rows = [(plain[name]["mean"], plain[name]["scale"]) for name in channel_names]
        mean, scale = torch.tensor(rows, dtype=torch.float32).reshape(-1, 2).unbind(dim=1)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: no mean and scale for every channel ({error!r}); export the bundle again") from None
    return {"statistics.mean": mean, "statistics.scale": scale}


def _digest(sha256_by_name: dict[str, str]) -> str:
    lines = "\n".join(f"{sha256_by_name[name]}  {name}" for name in _MODEL_FILES)
    return hashlib.sha256(lines.encode()).hexdigest()
