"""Moonshine as ONNX graphs, from its weights as arrays: neither PyTorch nor the package onnx.

In reading order:

    moonshine  Moonshine as the two ONNX graphs of the vendor's first format
    builder    ONNX graphs written node by node, with matrices in float32 or 8 bit
    messages   ONNX's messages, as bytes: what the package onnx would write
"""
