"""The contrastive personalizer: speech features -> identity and emotion embeddings -> one personalized embedding.

The personalized embedding belongs to a whole clip, never to a frame, so it can be cached and stored as a voice.
Source: DiffusionTalker (arXiv 2503.18159); attentive statistics pooling: Okabe et al. 2018 (arXiv 1803.10963).
"""

import dataclasses

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

_PIECE = 2048
"""Speech frames that are pooled at once."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PersonalizerConfig:
    """Sizes of the personalizer."""

    embedding_dim: int = 128
    """Size of the identity and of the emotion embedding (unit length)."""
    personalized_dim: int = 128
    """Size of the personalized embedding that conditions the denoiser."""
    hidden_dim: int = 128
    """Width of the pooling network."""
    num_heads: int = 4
    """Attention heads of the fusion."""

    def __post_init__(self) -> None:
        """Checks divisibility."""
        if self.personalized_dim % self.num_heads:
            raise ValueError(
                f"personalized_dim {self.personalized_dim} is not a multiple of num_heads {self.num_heads}"
            )


class AttentiveStatistics(nn.Module):
    """Weighted mean and standard deviation over time, weights from a small attention network; then a unit vector."""

    def __init__(self, feature_dim: int, *, hidden_dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.lift = nn.Sequential(nn.Linear(feature_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, hidden_dim))
        self.attention = nn.Sequential(nn.Linear(hidden_dim, hidden_dim // 2), nn.Tanh(), nn.Linear(hidden_dim // 2, 1))
        self.project = nn.Linear(2 * hidden_dim, embedding_dim)

    def forward(
        self, features: Float[Tensor, "batch speech_frames features"], mask: Bool[Tensor, "batch speech_frames"]
    ) -> Float[Tensor, "batch embedding"]:
        """Unit-length embeddings of masked feature sequences; of long ones in pieces, which takes less memory."""
        pieces = [F.gelu(self.lift(piece)) for piece in features.split(_PIECE, dim=1)]
        score = torch.cat([self.attention(hidden) for hidden in pieces], dim=1)[..., 0].masked_fill(
            ~mask, float("-inf")
        )
        weight = torch.softmax(score.float(), dim=1)[..., None].to(pieces[0].dtype)
        weighted = list(zip(weight.split(_PIECE, dim=1), pieces, strict=True))
        mean = torch.stack([(share * hidden).sum(dim=1) for share, hidden in weighted]).sum(dim=0)
        deviations = [(share * (hidden - mean[:, None]).square()).sum(dim=1) for share, hidden in weighted]
        variance = torch.stack(deviations).sum(dim=0)
        return F.normalize(self.project(torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)).float(), dim=-1)


class Personalizer(nn.Module):
    """Two embedding heads, learnt prototypes per known speaker and emotion, and the fusion."""

    def __init__(self, config: PersonalizerConfig, *, feature_dim: int, num_speakers: int, num_emotions: int) -> None:
        super().__init__()
        sizes = {"hidden_dim": config.hidden_dim, "embedding_dim": config.embedding_dim}
        self.identity_head = AttentiveStatistics(feature_dim, **sizes)
        self.emotion_head = AttentiveStatistics(feature_dim, **sizes)
        self.identity_prototypes = nn.Parameter(torch.randn(num_speakers, config.embedding_dim))
        self.emotion_prototypes = nn.Parameter(torch.randn(num_emotions, config.embedding_dim))
        self.unknown_identity = nn.Parameter(torch.randn(config.embedding_dim))
        self.identity_token = nn.Linear(config.embedding_dim, config.personalized_dim)
        self.emotion_token = nn.Linear(config.embedding_dim, config.personalized_dim)
        self.attention = nn.MultiheadAttention(config.personalized_dim, config.num_heads, batch_first=True)
        self.mlp = nn.Sequential(
            nn.LayerNorm(config.personalized_dim),
            nn.Linear(config.personalized_dim, 2 * config.personalized_dim),
            nn.GELU(),
            nn.Linear(2 * config.personalized_dim, config.personalized_dim),
        )

    def embed(
        self, features: Float[Tensor, "batch speech_frames features"], mask: Bool[Tensor, "batch speech_frames"]
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch embedding"]]:
        """Identity and emotion embeddings, unit length."""
        return self.identity_head(features, mask), self.emotion_head(features, mask)

    def prototypes(self) -> tuple[Float[Tensor, "speakers embedding"], Float[Tensor, "emotions embedding"]]:
        """Unit-length identity and emotion prototypes."""
        return F.normalize(self.identity_prototypes, dim=-1), F.normalize(self.emotion_prototypes, dim=-1)

    def forward(
        self, identity: Float[Tensor, "batch embedding"], emotion: Float[Tensor, "batch embedding"]
    ) -> Float[Tensor, "batch personalized"]:
        """Fuses the two embeddings: cross-attention with the identity as query, both as keys and values."""
        # Unit vectors of n components have entries near 1 / sqrt(n): scaled to unit variance for the layers behind.
        scale = identity.shape[-1] ** 0.5
        query = self.identity_token(identity * scale)[:, None]
        tokens = torch.cat([query, self.emotion_token(emotion * scale)[:, None]], dim=1)
        fused = query + self.attention(query, tokens, tokens, need_weights=False)[0] + tokens[:, 1:]
        return (fused + self.mlp(fused))[:, 0]
