"""The endpoint in one process, without Ray: for tests, small installations, and to compare with."""

import dataclasses

from diffusiontalker.inference import load_bundle
from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.auth import make_authenticator
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.decoding import DecodingConfig, DecodingPool
from diffusiontalker.serving.engine import Engine
from diffusiontalker.serving.metrics import Metrics, PrometheusMetrics
from diffusiontalker.serving.personalizer import BatchedEmbedder, Embedder, Personalizer
from diffusiontalker.serving.style_cache import StyleCache
from diffusiontalker.serving.voice_registry import VoiceRegistry


def make_core(arguments: ServingArguments, *, metrics: Metrics | None = None, embedder: Embedder | None = None) -> Core:
    """Loads the bundle, warms up, and puts the core together.

    Args:
        arguments: what the operator set.
        metrics: where numbers go; None: a registry of its own.
        embedder: who computes embeddings, and shares them with other replicas; None: this process does.

    Raises:
        BundleError: when the bundle cannot be loaded.
        KeysError: when the keys cannot be used.
    """
    metrics = metrics or PrometheusMetrics()
    keys = make_authenticator(arguments.keys_path(), anonymous_per_minute=arguments.anonymous_per_minute or None)
    bundle = load_bundle(arguments.bundle, device=arguments.device)
    engine = Engine(bundle, arguments.engine, metrics=metrics)
    engine.warm_up()
    cache = arguments.cache if embedder is None else dataclasses.replace(arguments.cache, shared_url="")
    return Core(
        arguments,
        engine=engine,
        personalizer=Personalizer(
            embedder or BatchedEmbedder(bundle), StyleCache(cache, bundle_digest=bundle.digest), metrics=metrics
        ),
        voices=VoiceRegistry(arguments.voices),
        decoder=DecodingPool(
            DecodingConfig(num_processes=arguments.decode_processes, max_queued=arguments.max_decodes_waiting)
        ),
        keys=keys,
        metrics=metrics,
    )
