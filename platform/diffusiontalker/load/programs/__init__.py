"""Endpoints to compare, as programs that `bench serve --against-plain` runs in processes of their own. Import torch."""
