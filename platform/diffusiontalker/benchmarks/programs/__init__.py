"""Programs that benchmarks start, each in a fresh process: what they import and keep is theirs alone."""

__all__: list[str] = []
