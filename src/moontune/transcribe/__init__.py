"""Recordings of any length to text with times: `moontune transcribe`.

command        the verb: flags, recordings in, transcripts out
recordings     the recordings that a command line names
recognizer     a run, an adapter, a folder, a hub id or ONNX as one that transcribes clips
vad            voice activity: the probability of speech by frame
segmentation   a recording cut at pauses into segments
long_form      segments to text; those that loop are cut again
batching       many recordings transcribed together, in bounded memory
writers        transcripts on a stream or in a folder
subtitles      timed text as SubRip and WebVTT
"""
