"""Moonshine's forward without padding: clips lie end to end as the rows of one matrix.

In reading order:

    layout       Where clips laid end to end lie
    front_end    Moonshine's convolutional front end: samples to what the encoder's layers see,
                 clip by clip
    rotary       Rotary positions for clips laid end to end
    attention    Attention for clips laid end to end
    lora_linear  Frozen linear layers with their LoRA beside them, fused where they share an
                 input
    moonshine    Moonshine's forward pass over clips laid end to end, without padding
    greedy       Greedy transcripts of several clips at once, equal to `generate` on each alone
"""
