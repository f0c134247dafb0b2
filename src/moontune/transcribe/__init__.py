"""Recordings of any length to text with times.

In reading order:

    command       `moontune transcribe`: recordings of any length to text with times
    recognizer    Any model as one that turns clips into text: a run, an adapter, a folder, a hub
                  id, ONNX
    mending       Greedy transcripts without PyTorch, which is loaded for one that comes to no end
    own_words     (a folder) A user's key terms and text that a model is given: those asked for, or
                  its own
    recordings    The recordings a command line names, and the names of their transcripts
    vad           Voice activity, when somebody speaks: silero-vad's model through onnxruntime
    segmentation  A recording of any length cut at pauses into segments the model was trained on
    word_times    When each word of a segment is spoken: the model's own times, kept within speech
    long_form     Samples to timed text: cut at pauses, transcribed in batches, loops cut again
    batching      Many recordings transcribed together
    writers       Transcripts of recordings written as text, JSON lines, SRT or VTT
    subtitles     Timed text as SubRip and WebVTT
    drafts        Recordings as a data set of drafts: clips with what a model hears in them, to be
                  corrected
    need          Which drafts to correct first: those that a training has most to learn from
"""
