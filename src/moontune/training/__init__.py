"""The loop, and all that changes while an adapter trains.

In reading order:

    loop            The training loop: token-weighted updates, validation, and the best adapter
                    kept
    state           All that changes while an adapter trains, as one thing that can be saved and
                    gone on with
    objectives/     What an update lowers: the usual loss, or word errors
    losses          Losses of utterances in training: what does not train computed once, passes
                    of bounded size
    feature_cache   The frozen part of the model, computed once for each clip
    sampling        Which utterances a training hears, in what order. Torch is loaded when one is
                    drawn
    reversed_clips  The run's own clips heard backwards, with what the base writes for them:
                    often nothing
    token_dropout   Wrong words among those that the decoder is told it has written
    averaging       The weights of an adapter that are validated and kept: an average, a share of
                    the way to it
    checkpoint      Where a training stands, on disk: enough to go on as if it had never stopped
    stability       Stability of a training, told from its log
    summary         train.json: what a training did and what it was, for the verdict, the reports
                    and the card
"""
