"""A page on this machine: speak, compare base and tuned model, correct, keep.

In reading order:

    command          `moontune serve`: a run's base and tuned model on a page of this machine
    models           The two models of a run that the page compares
    app              A page on this machine: speak or drop a file, see what base and tuned model
                     write
    http_server      The HTTP server of `moontune serve`, and its patience with connections that
                     say nothing
    corrected_clips  Clips that somebody corrected, kept as a manifest for the next run
"""
