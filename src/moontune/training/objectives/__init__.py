"""What an update lowers, and what is kept by: the usual loss, or word errors.

In reading order:

    likelihood    The usual objective: the mean loss of all target tokens of an update
    word_errors   Minimum word error rate training: errors expected of the model's own transcripts
"""
