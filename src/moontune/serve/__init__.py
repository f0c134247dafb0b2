"""A page on this machine: speak, compare base and tuned model, correct, keep.

In reading order:

    command      `moontune serve`: a base, or base and tuned model, on a page of this machine
    models       The models of the page, loaded in the background, and what they write
    app          A page on this machine: speak or drop a file, see what base and tuned model
                 write
    kept_routes  What the page asks about clips that are kept: the list, their sound, and
                 changes to them
    counts       Errors of models in words, as counts
"""
