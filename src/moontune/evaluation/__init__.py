"""How good a model is, and how sure that is.

In reading order:

    evaluate      Loss and transcripts of a model on a manifest: one code path for the base and
                  the tuned model
    predictions   Prediction files: one JSON object a clip, from which every figure can be
                  computed
    error_rates   Word and character error rates from references and hypotheses
    typography    Case and punctuation, which WER cannot see: how models write, and whether two
                  write alike
    comparison    Two sets of predictions on the same clips: what changed, where, and how sure
                  that is
    measures      The values of a comparison: intervals, measures, groups, and all of them
                  together
    bootstrap     Intervals of corpus figures by resampling speakers, paired over two models
    acceptance    The acceptance of a run: its checks, one function each, and the sentences about
                  it
    phrasing      Measures and their intervals in words, as the console and every report say them
    word_diff     Differences of a hypothesis from its reference, word by word as it was written
    degeneration  Checks whether a tuned model stopped writing speech: empty transcripts, or ones
                  that loop
    kept_adapter  Whether an adapter that was chosen by its loss is kept: it must be better in words
    confidence    Whether confidences of words are what they say: calibrated, and measured
    domain_text   The text of a user's domain, as it has a say in the consensus of beams
    screening     Transcripts held against their audio: which of them look wrong
    clip_list     Transcribe a list of clips with a base and an optional adapter:
                  `scripts/run_stt.py`
"""
