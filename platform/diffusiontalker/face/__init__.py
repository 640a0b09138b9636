"""Room: face."""
