"""A page on this machine: speak, compare base and tuned model, correct, keep.

In reading order:

    command          `moontune serve`: flags, who may ask, start
    app              the application and its limits
    http_server      the HTTP server under it, and its patience with connections that say nothing
    models           base and tuned model of a run, loaded in the background
    corrected_clips  clips that somebody corrected, kept as a manifest for the next run
"""
