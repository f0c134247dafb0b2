"""Where utterances come from: a module for each source.

In reading order:

    base               The value that every source returns: a sample of utterances, and its
                       origin
    dispatch           The configured source's utterances
    manifests          Rows of manifests: all of them, or a choice whose memory and time the
                       others hardly take
    numbered_speakers  Speakers whom a program numbered in one recording, who may be others in
                       the next
    librispeech        LibriSpeech streamed from the hub, or from a folder of parquet files in
                       the same shape
    parquet            Parquet files in LibriSpeech's shape as a stream: in a folder, or on the
                       hub
    synthetic          Speech without a download: the project's own sentences in many espeak-ng
                       voices; and silence
    espeak             espeak-ng through ctypes, from the PyPI wheel `espeakng-loader`: text and
                       a voice to samples
    harbour_sentences  Sentences of the project's own: the radio and log book of a small working
                       harbour
    bundled_speech     The two recordings inside the moonshine-voice wheel, cut at their pauses:
                       speech for everybody
    general_speech     General speech beside a run's own: to see what the adapter forgot, and to
                       keep it from that
"""
