"""The forward without padding: clips lie end to end as the rows of one matrix.

In reading order:

    layout       Clips of a batch end to end: where each lies, and how many go through the net at
                 once
    front_end    Moonshine's convolutional front end: samples to what the encoder's layers see,
                 clip by clip
    rotary       Rotary positions for clips laid end to end
    attention    Attention for clips laid end to end
    windowed     Attention of each row to those near it, for clips laid end to end
    lora_linear  Frozen linear layers with their LoRA beside them, fused where they share an
                 input
    layers       The encoder's and the decoder's layers over clips laid end to end
    forward      The forward pass over clips laid end to end, without padding, of any architecture's
                 parts
    head         The output head: what is thought of every word of the vocabulary
    head_loss    Cross-entropy behind the output head, with its gradient computed at once
    greedy       Greedy transcripts of several clips at once, equal to `generate` on each alone
    beams        The most likely transcripts of several clips at once, by beam search
    alignment    Where in a clip each token of its transcript is heard, from what the decoder looks
                 at
"""
