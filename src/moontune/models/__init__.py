"""A base: found, loaded, adapted, asked for transcripts.

In reading order:

    locate       Where a base lies: the hub, a local folder, or rebuilt from PyPI packages
    bundled      Moonshine tiny English without the hub, rebuilt from what two PyPI packages
                 carry
    architectures
                 The kinds of model that moontune adapts, a file each: the next model is one more
    packed       The forward without padding: clips lie end to end as the rows of one matrix
    base_model   The base: where it comes from, its processor, and the labels it is trained on
    adapter      The LoRA adapter: attached to a base, saved as a standard peft folder, loaded
                 back
    provenance   Which weights an adapter was trained on, as moontune notes it beside peft's
                 files
    transcriber  Audio to text with a model
    consensus    Which of several transcripts of a clip to take: the one that the others agree with
                 most
    language_model
                 How likely words are behind others in texts of a domain, for the choice among
                 beams
    confidence   How sure it is of a word: the chance that a word of a consensus transcript is right
    decoding     A transcript, how long it may get, and what is decoded together
    arrays       A base's weights as arrays, an adapter merged in: what listening needs, read
                 without PyTorch
    graph        Moonshine as ONNX graphs, from its weights as arrays
    onnx         Audio to text with an ONNX pair: an exported one, or graphs of weights that
                 were just read
    standalone   The same with onnxruntime and numpy alone; in an export, `transcribe.py`
    tiny_random  Random models of two and two layers with a byte-level tokenizer, made without any
                 file
"""
