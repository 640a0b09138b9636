"""`serve` and `keys new`: the endpoint on this machine, and who may use it."""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, UseAppendAction

from diffusiontalker.cli.animation import DEFAULT_VOICES
from diffusiontalker.cli.bundles import named_bundles
from diffusiontalker.cli.verb import EngineName, OptionalInteger, OptionalPath, UsageError, Verb, say, working

if TYPE_CHECKING:
    from diffusiontalker.inference import Bundle


@dataclasses.dataclass(frozen=True, kw_only=True)
class Serve(Verb):
    """Serves students on this machine: the Studio, HTTP, WebSocket and gRPC, on Ray Serve. Ctrl-C ends it.

    For more settings, several replicas or a cluster: serve run serve_configs/local.yaml

    Examples:
        diffusiontalker serve --bundle runs/demo_student/bundle
        curl -F audio=@speech.wav "http://127.0.0.1:8000/v1/animations?format=csv" -o speech.csv
        diffusiontalker serve --bundle student=runs/demo_student/bundle --bundle teacher=runs/demo/bundle
        diffusiontalker serve --bundle runs/demo_student/bundle --keys keys.txt --host 0.0.0.0
    """

    bundle: Annotated[tuple[str, ...], UseAppendAction]
    """The student, a folder or URL, or NAME=FOLDER; several are served beside one another, the first by default."""
    voices: str = DEFAULT_VOICES
    """Enrolled voices: a folder or URL; made when the first one is enrolled."""
    host: str = "127.0.0.1"
    """127.0.0.1: for this machine alone; 0.0.0.0: for everybody, with --keys."""
    port: int = 8000
    """For HTTP and WebSocket."""
    grpc_port: int = 0
    """For clients of Audio2Face-3D, which expect 52000; open on all interfaces; 0: none."""
    keys: OptionalPath = None
    """File with the keys that are let in (see diffusiontalker keys new); everybody by default."""
    cache: str = ""
    """Where embeddings survive a restart: redis://host:6379/0, a folder or a URL; by default in memory alone."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1 ..."""
    engine: EngineName = "auto"
    """What computes; see `diffusiontalker animate --help`."""
    max_streams: int = 64
    """Live streams that may be open, of each student."""
    ha_proxy: bool = False
    """Put HAProxy in front, which carries more live streams; it listens on all interfaces."""

    def run(self) -> None:
        """Starts, says where it listens, waits."""
        if self.host not in ("127.0.0.1", "localhost") and self.keys is None:
            raise UsageError(
                f"--host {self.host} lets everybody in who reaches this machine; add --keys (see diffusiontalker keys "
                "new --help), or leave --host at 127.0.0.1"
            )
        if self.ha_proxy:
            os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"
        from diffusiontalker.inference import check_engine, load_bundle
        from diffusiontalker.serving.arguments import ServingArguments
        from diffusiontalker.serving.auth import make_authenticator
        from diffusiontalker.serving.local import Address, serving, wait_until_interrupted
        from diffusiontalker.storage import absolute_uri

        check_engine(self.engine, self.device)
        folders = named_bundles(self.bundle)
        bundles = {name: load_bundle(folder) for name, folder in folders.items()}
        if self.keys is not None:
            make_authenticator(self.keys)
        (name, bundle), *others = ((name, absolute_uri(folder)) for name, folder in folders.items())
        arguments = ServingArguments.model_validate({
            "bundle": bundle,
            "name": name,
            "others": dict(others),
            "voices": absolute_uri(self.voices),
            "device": self.device,
            "keys_file": "" if self.keys is None else str(self.keys.resolve()),
            # Ray gives a replica one thread for each CPU it reserves, which is one.
            "engine": {"networks": self.engine, "max_streams": self.max_streams, "threads": os.cpu_count() or 1},
            "cache": {"shared_url": self.cache},
        })  # fmt: skip
        address = Address(host=self.host, port=self.port, grpc_port=self.grpc_port)
        signal.signal(signal.SIGTERM, _interrupt)
        with contextlib.ExitStack() as stack:
            with working("starting Ray Serve"):
                stack.enter_context(serving(arguments, address))
            say(self._greeting(bundles))
            with contextlib.suppress(KeyboardInterrupt):
                wait_until_interrupted()
            say("finishing what is under way")

    def _greeting(self, bundles: "Mapping[str, Bundle]") -> str:
        url = f"http://{self.host}:{self.port}"
        served = [f"{name} ({bundle.file_bytes / 1e6:.1f} MB)" for name, bundle in bundles.items()]
        lines = [
            f"serving {', '.join(served)} at {url}",
            f"  look      {url}/studio/",
            f"  try it    curl -F audio=@speech.wav '{url}/v1/animations?format=csv' -o speech.csv",
            f"  explore   {url}/docs",
            f"  live      {url.replace('http', 'ws', 1)}/v1/stream",
        ]
        if self.grpc_port:
            lines.append(f"  gRPC      {self.host}:{self.grpc_port} (Audio2Face-3D)")
        return "\n".join([*lines, "Ctrl-C ends it."])


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewKey(Verb):
    """Makes a key for somebody who may use the endpoint. The file gets its hash alone; the key is shown once.

    Examples:
        diffusiontalker keys new anna --file keys.txt
        diffusiontalker keys new game-server --file keys.txt --requests-per-minute 600
        curl -H "authorization: Bearer dt_..." -F audio=@speech.wav http://127.0.0.1:8000/v1/animations
    """

    name: Positional[str]
    """Whose key: letters, digits, '.', '_' and '-'."""
    file: OptionalPath = None
    """File to add it to, made when there is none; without it the line is shown."""
    requests_per_minute: OptionalInteger = None
    """How many requests a minute it is good for; any number by default."""

    def run(self) -> None:
        """Makes the key, stores its hash."""
        from diffusiontalker.config import publish_file
        from diffusiontalker.serving.auth import new_key, parse_keys

        key, line = new_key(self.name, requests_per_minute=self.requests_per_minute)
        if self.file is None:
            say(f"key:  {key}\nline: {line}")
            return
        before = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        text = before + ("\n" if before and not before.endswith("\n") else "") + line + "\n"
        parse_keys(text, source=str(self.file))
        with publish_file(self.file, overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(0o600)
        say(f"added '{self.name}' to {self.file}; the key, shown this once:\n{key}")


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
