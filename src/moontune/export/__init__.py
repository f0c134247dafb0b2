"""The tuned model for other runtimes and for the hub: `moontune export` and `moontune push`.

command          the verb: flags, the products written, what they are from
onnx_files       graphs in float32 and 8 bit, and as .ort
onnx_moonshine   Moonshine's encoder and decoder as ONNX graphs
onnx_builder     ONNX graphs written node by node
tokenizer_bin    the tokenizer as Moonshine's own runtime reads it
measure          every product on the run's test clips: figures and findings
vendor_runtime   Moonshine's own runtime, in another interpreter
vendor_worker    the program that runs in that interpreter
export_card      the README of an export
push             `moontune push`: adapter, processor and card to the hub
model_card       the card of a run on the hub
"""
