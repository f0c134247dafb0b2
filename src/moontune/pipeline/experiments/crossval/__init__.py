"""`moontune crossval`: every clip tested once, by an adapter that never met its speaker.

In reading order:

    folds           A run for every fold, each trained and measured
    results         What a fold's run came to, as its files tell
    pooling         The folds of a cross-validation together: figures, files, report
    general_speech  General speech by the base and all folds' adapters, as one comparison
    cautions        What to be careful about in the folds together, and what to do next
    report          The report of a cross-validation: its own, and its section of the collected one
"""
