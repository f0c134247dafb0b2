"""A run: its folder, its stages, and how one stage after another is done.

In reading order:

    new_run           A run begun, or gone on with: what is checked, in which order, before
                      anything is spent
    earlier_run       The run that another comes after: its clips come along and stay in their
                      splits
    preflight         Checks of data, model, disk and memory, before an hour is spent
    runner            One stage of a run done: checked, watched, recorded
    run_folder        (a folder) A run's folder: its record, files and configuration, how it is made
                      and opened
    base_of_run       The base of a run: loaded on the configured device, its weights those of
                      every stage before
    base_transcripts  The base's transcripts of a run's utterances, and how their texts fit, each
                      computed once
    screening         A run's transcripts held against their audio: which look wrong, and whether
                      any belong to it
    heldout_fits      How transcripts fit their audio under adapters that never heard them
    general_speech    The general speech of a run: clips for the forgetting check, and clips
                      replayed in training
    key_terms         (a folder) A run's list of words to know: written by its models, and counted
    consensus         (a folder) The beams that a run's models choose their consensus from, and the
                      say that a text has among them
    training          (a folder) A run's training: its updates, what is kept of them, and their log
"""
