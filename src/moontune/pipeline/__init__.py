"""A run: its folder, its stages, and how one stage after another is done.

In reading order:

    runner          The stages of a run, in order, and how one of them is run
    run_dir         A run's folder: its files, the record of finished stages, and what made it
    run_log         A run's log: what was said, and when
    run_lock        One process at a time on a run's folder, and on the report
    preflight       Whether there is room for a run, asked before an hour is spent
    base_of_run     The base of a run: loaded on the configured device, its weights those of
                    every stage before
    general_speech  The general speech of a run: clips for the forgetting check, and clips
                    replayed in training
    training_log    The log of a training: events into `train_log.jsonl` and before the user's
                    eyes
"""
