"""Utterances: what is said in a recording, where it comes from and how a set is divided.

manifest      `Utterance`, and the JSON lines that list them
audio         files, bytes and streams to float32 mono at 16 kHz
normalizer    text as WER is scored on
truecasing    references written with the base model's case and punctuation
cleaning      what can be used, and a reason for each that cannot
splitting     train, val and test by whole speakers, folds, and what stands in two splits
assignment    the search behind a split: groups to parts of given sizes
labels        the text that each utterance is trained on
sources/      where utterances come from: a manifest, LibriSpeech, a synthesiser, a package
heldout       a small manifest with its audio beside it
"""
