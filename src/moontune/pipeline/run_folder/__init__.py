"""A run's folder: its record, files and configuration, how it is made and opened.

In reading order:

    run_dir      A run: its configuration, what it measured, and its results
    files        Files of a run, and what makes each of them again
    words        A run's own copies of key terms and domain text, and what its models make of them
    record       The record of a run, `run.json`: what made it, which stages are done
    commands     Commands that go on with a run
    creating     A run's folder made: a new one, or a run of its own from another's stages
    opening      A run's folder opened, of the kind that is wanted
    environment  Versions, machine and command line of a run: what somebody needs to make it again
    log          A run's log: what was said, and when
    lock         One process at a time on a run's folder, and on the report
"""
