"""Where utterances come from; each source returns a `Sample`.

base                `Sample`: utterances, rows that cannot be used, and their origin
dispatch            the source that the settings name
general_speech      speech beside a run's own: for the forgetting check and for replay
librispeech         LibriSpeech, drawn from the hub or a folder
parquet             the parquet files it is drawn from, as a stream
synthetic           made-up sentences spoken by espeak-ng, and silence
espeak              espeak-ng through ctypes
harbour_sentences   the made-up sentences
bundled_speech      two recordings of the moonshine-voice package, cut into clips
"""
