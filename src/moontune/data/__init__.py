"""Utterances: their audio, their text, where they come from, how they are divided.

In reading order:

    rows         What the rows of a manifest say
    manifest     Utterances and the JSONL manifests that list them, one utterance a line
    speakers     Speakers that no row names, told by folders or by the heads of file names
    audio        Audio files, bytes or streams to the form the model takes: float32, mono, 16 kHz,
                 (samples,)
    normalizer   Text as WER is scored on: Whisper's English normalisation
    truecasing   References written as the base model writes: its case and its punctuation, their
                 own words
    annotations  What stands in transcripts and is not speech: tags of sounds, speakers' names,
                 times, markup
    base_style   References of any style in the base's own: which of their capitals and marks it
                 would write too
    labels       Training text in the style the base model writes, made from references and its
                 transcripts
    cleaning     Which utterances can be used, and for each that cannot, why
    splitting    Splits by whole speakers, or by recordings, as near the wanted shares of audio as
                 they allow
    recordings   What a split by recording keeps on one side: sessions, parts of one file, and texts
    assignment   Whole groups put into splits so that each comes near its share: a local search
    word_lists   A user's lists of words: key terms, and sentences to read
    heldout      A small manifest of held-out clips with audio beside it:
                 `scripts/build_manifest.py`
"""
