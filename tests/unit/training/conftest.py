"""Fixtures of the training tests."""

from pathlib import Path

import pytest
import transformers


@pytest.fixture(scope="session")
def tiny_hubert(tmp_path_factory) -> Path:
    """Checkpoint of a pretrained speech encoder, as small as one can be."""
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("hubert")
    transformers.AutoModel.from_config(config).save_pretrained(path)
    return path
