"""Serving: the endpoint that application developers call."""
