import pytest
import torch

from diffusiontalker.models import (
    AttentiveStatistics,
    DenoiserConfig,
    PersonalizerConfig,
    SpeechEncoderConfig,
    Talker,
    TalkerConfig,
    conv_blocks,
    frame_mask,
    total_context,
)

CHANNELS = tuple(f"channel{index}" for index in range(6))


def tiny_talker(*, motion_fps=30.0, look_ahead=None, encoder=None, seed=0):
    torch.manual_seed(seed)
    config = TalkerConfig(
        encoder=encoder or SpeechEncoderConfig(width=16, dilations=(1, 2)),
        personalizer=PersonalizerConfig(embedding_dim=8, personalized_dim=8, hidden_dim=8, num_heads=2),
        denoiser=DenoiserConfig(width=16, dilations=(1, 2, 4), look_ahead_frames=look_ahead),
    )
    talker = Talker(
        config, speakers=["anna", "ben"], emotions=["neutral", "happy"], channel_names=CHANNELS, motion_fps=motion_fps
    )
    for parameter in talker.parameters():  # wake up the zero-initialized modulations
        if parameter.requires_grad and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return talker.eval()


@torch.no_grad()
def predict(talker, waveforms, lengths, frames, *, noise_seed=0):
    features, speech_mask = talker.encode(waveforms, lengths)
    personalized = talker.personalizer(*talker.personalizer.embed(features, speech_mask))
    longest = max(frames)
    noisy = torch.randn(1, 200, len(CHANNELS), generator=torch.Generator().manual_seed(noise_seed))[:, :longest]
    noisy = noisy.expand(len(waveforms), -1, -1)
    mask = frame_mask(torch.tensor(frames), longest)[..., None].float()
    time = torch.full((len(waveforms),), 0.7)
    return talker.predict_clean(noisy * mask, time, talker.to_motion_rate(features, frames=longest), personalized, mask)


@pytest.mark.parametrize("motion_fps", [25.0, 30.0, 60.0])
def test_padded_equals_unpadded_and_batched_equals_single(motion_fps):
    talker = tiny_talker(motion_fps=motion_fps)
    generator = torch.Generator().manual_seed(1)
    short, long = 0.1 * torch.randn(1, 9_123, generator=generator), 0.1 * torch.randn(1, 16_000, generator=generator)
    frames = [-(-9_123 * int(motion_fps) // 16_000), int(motion_fps)]
    batch = torch.cat([torch.nn.functional.pad(short, (0, 16_000 - 9_123)), long])
    together = predict(talker, batch, torch.tensor([9_123, 16_000]), frames)
    alone = predict(talker, short, torch.tensor([9_123]), frames[:1])
    torch.testing.assert_close(together[0, : frames[0]], alone[0], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(
        together[1], predict(talker, long, torch.tensor([16_000]), frames[1:])[0], atol=2e-5, rtol=1e-4
    )


@pytest.mark.parametrize("look_ahead", [None, 0, 3])
def test_denoiser_sees_exactly_its_context(look_ahead):
    talker = tiny_talker(look_ahead=look_ahead)
    context = talker.denoiser.context
    if look_ahead is not None:
        assert context.right <= look_ahead
    frames, middle = 61, 30
    features = torch.randn(1, frames, 16, requires_grad=True)
    noisy = torch.randn(1, frames, len(CHANNELS), requires_grad=True)
    output = talker.predict_clean(noisy, torch.ones(1) * 0.5, features, torch.randn(1, 8), torch.ones(1, frames, 1))
    output[0, middle].sum().backward()
    for tensor in (features, noisy):
        touched = tensor.grad[0].abs().sum(dim=1).nonzero().flatten()
        assert (middle - touched.min().item(), touched.max().item() - middle) == (context.left, context.right)


def test_look_ahead_budget_is_spent_on_the_first_blocks_that_fit():
    assert total_context(conv_blocks(8, dilations=(1, 2, 4), kernel_size=3, look_ahead=None)).right == 7
    limited = total_context(conv_blocks(8, dilations=(1, 2, 4), kernel_size=3, look_ahead=3))
    assert (limited.left, limited.right) == (11, 3)


def test_embeddings_are_unit_length_and_do_not_depend_on_frame_order():
    head = AttentiveStatistics(6, hidden_dim=8, embedding_dim=4)
    features = torch.randn(2, 9, 6)
    mask = torch.ones(2, 9, dtype=torch.bool)
    embedding = head(features, mask)
    torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(2))
    torch.testing.assert_close(head(features.flip(1), mask), embedding)


def test_personalized_embedding_depends_on_identity_and_on_emotion():
    personalizer = tiny_talker().personalizer
    identities, emotions = personalizer.prototypes()
    both = personalizer(identities[[0, 0, 1]], emotions[[0, 1, 0]])
    assert (both[0] - both[1]).abs().max() > 1e-3
    assert (both[0] - both[2]).abs().max() > 1e-3


def test_guidance_extrapolates_from_the_unconditional_prediction():
    talker = tiny_talker()
    arguments = (
        torch.randn(2, 20, 6),
        torch.full((2,), 0.6),
        torch.randn(2, 20, 16),
        torch.randn(2, 8),
        torch.ones(2, 20, 1),
    )
    with torch.no_grad():
        free, plain, double = (talker.predict_clean(*arguments, guidance_scale=scale) for scale in (0.0, 1.0, 2.0))
    torch.testing.assert_close(double - plain, plain - free)
    assert (plain - free).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["hubert", "wav2vec2", "wavlm", "whisper"])
def test_pretrained_encoders_run_from_a_folder_and_rebuild_without_it(family, tmp_path):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    waves = small | {"conv_dim": [8] * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    configs = {
        "hubert": lambda: transformers.HubertConfig(**waves),
        "wav2vec2": lambda: transformers.Wav2Vec2Config(**waves),
        "wavlm": lambda: transformers.WavLMConfig(**waves),
        "whisper": lambda: transformers.WhisperConfig(
            d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1,
            decoder_attention_heads=2, decoder_ffn_dim=16, vocab_size=60, pad_token_id=0, bos_token_id=1,
            eos_token_id=2, decoder_start_token_id=1, max_source_positions=1500,
        ),
    }  # fmt: skip
    transformers.AutoModel.from_config(configs[family]()).save_pretrained(tmp_path)
    talker = tiny_talker(encoder=SpeechEncoderConfig(family="hugging_face", checkpoint=str(tmp_path)))
    waveform = 0.1 * torch.randn(2, 15_999, generator=torch.Generator().manual_seed(0))
    features, mask = talker.encode(waveform, torch.tensor([15_999, 8_000]))
    assert features.shape == (2, 50, 16)
    assert mask.sum(dim=1).tolist() == [50, 25]
    torch.testing.assert_close(features[1, :25], talker.encode(waveform[1:, :8_000], torch.tensor([8_000]))[0][0])
    assert not any(parameter.requires_grad for parameter in talker.encoder.parameters())
    rebuilt = Talker(
        TalkerConfig(
            encoder=SpeechEncoderConfig(family="hugging_face", architecture=talker.config.encoder.architecture),
            personalizer=talker.config.personalizer,
            denoiser=talker.config.denoiser,
        ),
        speakers=talker.speakers, emotions=talker.emotions, channel_names=CHANNELS, motion_fps=30.0,
    )  # fmt: skip
    rebuilt.load_state_dict(talker.state_dict(), strict=True)
    torch.testing.assert_close(rebuilt.eval().encode(waveform, torch.tensor([15_999, 8_000]))[0], features)


def test_a_missing_checkpoint_is_named():
    from diffusiontalker.models import build_speech_encoder

    with pytest.raises(ValueError, match="/nowhere/model"):
        build_speech_encoder(SpeechEncoderConfig(family="hugging_face", checkpoint="/nowhere/model"))
    with pytest.raises(ValueError, match="checkpoint is missing"):
        SpeechEncoderConfig(family="hugging_face")


def test_wrong_shapes_are_refused_in_tests():
    """Canary: jaxtyping checks are on under pytest."""
    head = AttentiveStatistics(6, hidden_dim=8, embedding_dim=4)
    with pytest.raises(Exception, match="features"):
        head(torch.randn(9, 6), torch.ones(9, dtype=torch.bool))
