"""Random models of two and two layers with a byte-level tokenizer, made without any file.

What holds for an architecture by the way it is built holds for it too, in milliseconds.
"""

from __future__ import annotations

from typing import Any

from moontune.system.fast_imports import import_transformers

_IDS: dict[str, Any] = {
    "vocab_size": 259,
    "pad_token_id": 2,  # as published: pad and EOS are one id
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def tiny_net(seed: int = 0) -> Any:
    """A Moonshine, in float32 on the CPU; `seed` decides its weights."""
    import_transformers()
    import torch
    from transformers import MoonshineConfig, MoonshineForConditionalGeneration

    config = MoonshineConfig(
        hidden_size=32,
        intermediate_size=48,
        encoder_num_hidden_layers=2,
        decoder_num_hidden_layers=2,
        encoder_num_attention_heads=4,
        decoder_num_attention_heads=4,
        encoder_num_key_value_heads=4,
        decoder_num_key_value_heads=4,
        **_IDS,
    )
    torch.manual_seed(seed)
    return MoonshineForConditionalGeneration(config).eval()


def tiny_streaming_net(seed: int = 0) -> Any:
    """The same of Moonshine Streaming: as in the small one, encoder and decoder are not as wide,
    and heads not a share of their width."""
    import_transformers()
    import torch
    from transformers import MoonshineStreamingConfig, MoonshineStreamingForConditionalGeneration

    layers: dict[str, Any] = {"intermediate_size": 48, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 4}
    config = MoonshineStreamingConfig(
        encoder_config={  # type: ignore[arg-type]
            **layers,
            **heads,
            "hidden_size": 40,
            "head_dim": 8,
            "sliding_windows": [[16, 4], [16, 0]],
        },
        **layers,
        **heads,
        hidden_size=32,
        head_dim=14,
        **_IDS,
    )
    torch.manual_seed(seed)
    return MoonshineStreamingForConditionalGeneration(config).eval()


def tiny_processor() -> Any:
    """Moonshine's: the real one's feature extractor and template, a token for each byte."""
    import_transformers()
    from transformers import Wav2Vec2Processor

    return Wav2Vec2Processor(_feature_extractor(), _tokenizer())


def tiny_streaming_processor() -> Any:
    """Moonshine Streaming's, with the same tokenizer."""
    import_transformers()
    from transformers import MoonshineStreamingProcessor

    return MoonshineStreamingProcessor(_feature_extractor(), _tokenizer())


def _feature_extractor() -> Any:
    from transformers import Wav2Vec2FeatureExtractor

    return Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2} | {c: i + 3 for i, c in enumerate(alphabet)}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
    )
