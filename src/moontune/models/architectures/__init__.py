"""The kinds of model that moontune adapts, a file each: the next model is one more.

In reading order:

    interface            What moontune asks of an architecture: facts, and the parts of its forward
                         pass
    shared               The decoder, which both architectures have
    moonshine            Moonshine: a norm over all of a clip's time, attention over all frames
    moonshine_streaming  Moonshine Streaming: frames of 5 ms, attention over a window of frames
    registry             Architectures by the `model_type` of a config
"""
