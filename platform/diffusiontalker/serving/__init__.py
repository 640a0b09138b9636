"""Serving: the endpoint that application developers call, on Ray Serve.

Ray-free: `core` puts together `engine` (batches, live streams), `personalizer` with its cache, voices, decoding and
keys; `http` and `a2f` are its protocols. `deployments`, `app` and `local` give it replicas. Import what you need from
the modules: most processes need a part of them only.
"""

__all__ = []
