"""Moonshine as ONNX graphs, from its weights as arrays: neither PyTorch nor the package onnx.

In reading order:

    moonshine  Moonshine as the two ONNX graphs of the vendor's first format
    together   Greedy transcripts of several clips at once, by graphs that were built for several
    builder    ONNX graphs written node by node, with matrices in float32 or 8 bit
    messages   ONNX's messages, as bytes: what the package onnx would write
"""
