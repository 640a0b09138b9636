"""What speech encoders use of transformers. Its own sources cost pyright 3,000 files to learn no more than this."""

from typing import Any

class AutoConfig:
    @staticmethod
    def for_model(model_type: str, **settings: Any) -> Any: ...

class AutoModel:
    @staticmethod
    def from_config(config: Any) -> Any: ...
    @staticmethod
    def from_pretrained(pretrained_model_name_or_path: str) -> Any: ...

class WhisperFeatureExtractor:
    def __init__(self, *, feature_size: int) -> None: ...
    def __call__(
        self, raw_speech: Any, *, sampling_rate: int, return_tensors: str, padding: str, max_length: int
    ) -> Any: ...
