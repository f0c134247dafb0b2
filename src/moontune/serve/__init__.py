"""A page on this machine: speak, compare base and tuned model, correct, keep.

In reading order:

    command          `moontune serve`: a base, or base and tuned model, on a page of this machine
    models           The models that the page lets hear: a base alone, or what was tuned beside its
                     base
    app              A page on this machine: speak or drop a file, see what base and tuned model
                     write
    requests         Requests that only the page itself may make, and how they are answered
    kept_routes      What the page asks about clips that are kept: the list, their sound, and
                     changes to them
    corrected_clips  Clips that somebody corrected, kept as a manifest for the next run
    counts           Errors of models in words, as counts
    next_training    When there is enough to train on, and the command that does it
    prompts          Sentences to read aloud
    http_server      The HTTP server of `moontune serve`, and its patience with connections that
                     say nothing
"""
