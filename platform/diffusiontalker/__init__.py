"""DiffusionTalker: speech in, 3D facial animation out. Imports neither torch nor ray."""

__version__ = "0.1.0"
