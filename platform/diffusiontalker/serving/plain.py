"""The endpoint in one process, without Ray: for tests, small installations, and to compare with."""

import dataclasses
import time
from collections.abc import Callable

from diffusiontalker.inference import load_bundle
from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.auth import make_authenticator
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.decoding import DecodingConfig, DecodingPool
from diffusiontalker.serving.engine import Engine
from diffusiontalker.serving.metrics import Labelled, Metrics, PrometheusMetrics
from diffusiontalker.serving.personalizer import BatchedEmbedder, Embedder, Personalizer
from diffusiontalker.serving.process_times import age_s
from diffusiontalker.serving.student import Student
from diffusiontalker.serving.style_cache import StyleCache
from diffusiontalker.serving.voice_registry import VoiceRegistry


def make_core(
    arguments: ServingArguments,
    *,
    metrics: Metrics | None = None,
    embedder_of: Callable[[str], Embedder] | None = None,
) -> Core:
    """Loads the students, warms them up, and puts the core together.

    Args:
        arguments: what the operator set.
        metrics: where numbers go; None: a registry of its own.
        embedder_of: who computes the embeddings of a student, and shares them with other replicas; None: this process
            does.

    Raises:
        BundleError: when a bundle cannot be loaded.
        KeysError: when the keys cannot be used.
    """
    metrics = metrics or PrometheusMetrics()
    metrics.count("start_seconds_total", age_s() or 0.0, part="process")
    keys = make_authenticator(arguments.keys_path(), anonymous_per_minute=arguments.anonymous_per_minute or None)
    cache = arguments.cache_of_each(is_shared=embedder_of is None)
    voices = VoiceRegistry(arguments.voices)
    decoder = DecodingPool(
        DecodingConfig(num_processes=arguments.decode_processes, max_queued=arguments.max_decodes_waiting)
    )
    begin = time.perf_counter()
    bundles = {
        name: load_bundle(uri, device=arguments.device, engine=arguments.engine.networks)
        for name, uri in arguments.students.items()
    }
    loaded = time.perf_counter()
    metrics.count("start_seconds_total", loaded - begin, part="bundle")
    decoder.launch()  # so that they get ready during the warm-up, and the first request need not wait for one
    students = []
    for name, bundle in bundles.items():
        engine = Engine(bundle, arguments.engine, metrics=Labelled(metrics, student=name))
        engine.warm_up()
        # Voices are always heard alike, as replicas of any engine share the cache.
        heard_by = bundle if bundle.engine == "auto" else dataclasses.replace(bundle, engine="auto")
        embedder = BatchedEmbedder(heard_by) if embedder_of is None else embedder_of(name)
        personalizer = Personalizer(embedder, StyleCache(cache, bundle_digest=bundle.digest), metrics=metrics)
        students.append(Student(name, engine=engine, personalizer=personalizer, voices=voices, metrics=metrics))
    metrics.count("start_seconds_total", time.perf_counter() - loaded, part="warm_up")
    return Core(
        arguments,
        students=students,
        voices=voices,
        decoder=decoder,
        keys=keys,
        metrics=metrics,
    )
