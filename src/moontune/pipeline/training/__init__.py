"""A run's training: its updates, what is kept of them, and their log.

In reading order:

    loops  The updates of stage train: the usual ones, those on word errors, and what is kept of
           them
    log    The log of a training: events into `train_log.jsonl` and before the user's eyes
"""
