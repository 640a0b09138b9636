"""Serving: the endpoint that application developers call, on Ray Serve.

Ray-free: `core` puts together students, voices, decoding and keys; a `student` is a bundle with its `engine` (batches,
live streams) and its `personalizer` with a cache; `http` and `a2f` are the protocols. `deployments`, `app` and `local`
give it replicas. Import what you need from the modules: most processes need a part of them only.
"""

__all__ = []
