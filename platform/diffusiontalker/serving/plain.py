"""The endpoint in one process, without Ray: for tests, small installations, and to compare with."""

from collections.abc import Callable

from diffusiontalker.inference import load_bundle
from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.auth import make_authenticator
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.decoding import DecodingConfig, DecodingPool
from diffusiontalker.serving.engine import Engine
from diffusiontalker.serving.metrics import Labelled, Metrics, PrometheusMetrics
from diffusiontalker.serving.personalizer import BatchedEmbedder, Embedder, Personalizer
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
    keys = make_authenticator(arguments.keys_path(), anonymous_per_minute=arguments.anonymous_per_minute or None)
    cache = arguments.cache_of_each(is_shared=embedder_of is None)
    voices = VoiceRegistry(arguments.voices)
    students = []
    for name, uri in arguments.students.items():
        bundle = load_bundle(uri, device=arguments.device, engine=arguments.engine.networks)
        engine = Engine(bundle, arguments.engine, metrics=Labelled(metrics, student=name))
        engine.warm_up()
        embedder = BatchedEmbedder(bundle) if embedder_of is None else embedder_of(name)
        personalizer = Personalizer(embedder, StyleCache(cache, bundle_digest=bundle.digest), metrics=metrics)
        students.append(Student(name, engine=engine, personalizer=personalizer, voices=voices, metrics=metrics))
    return Core(
        arguments,
        students=students,
        voices=voices,
        decoder=DecodingPool(
            DecodingConfig(num_processes=arguments.decode_processes, max_queued=arguments.max_decodes_waiting)
        ),
        keys=keys,
        metrics=metrics,
    )
