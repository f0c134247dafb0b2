"""The tuned model for other runtimes, and for the hub.

In reading order:

    command         `moontune export`: a run's tuned model as plain weights, ONNX and the
                    vendor's own format
    measure         The products of an export, each measured on the run's test clips, one by one
    onnx_files      A merged model as graph files: ONNX in float32 and 8 bit, and onnxruntime's
                    own format
    tokenizer_bin   `tokenizer.bin`, which Moonshine's own runtime reads: the bytes of every
                    token, by id
    vendor_runtime  Moonshine's own runtime, in an environment of its own
    vendor_worker   Transcribe clips in the vendor's runtime
    base_facts      Facts about a base that a card repeats, each only where it is known: its licence
                    and language
    export_card     The README of an export: what it is, how good, and how each file is used
    model_card      A run's model card: what it is from, what was measured, how to use it
    push            A run's adapter, processor and model card to the hub: `moontune push`
"""
