"""Verbs over several runs: cross-validation and its adapter, sweep, comparison, scores.

In reading order:

    crossval           `moontune crossval`: a run for every fold, then the folds together
    final              `moontune final`: one adapter trained on all clips of a cross-validation,
                       to be used
    final_report       The report of an adapter trained on all clips: its checks, final.json,
                       Markdown and page
    sweep              `moontune sweep`: trainings with other settings, the best by validation
                       tested at the end
    trial              One trial of a sweep: the settings that were tried and how its training
                       went
    search             The search of a sweep, by optuna: the next settings to try, and when to
                       give a trial up
    search_space       The search space of a sweep: named settings and the values they may take
    sweep_report       The report of a sweep: its winner against the run's own settings and
                       against the base
    help_out           `moontune work`: one more process for a cross-validation or a sweep
    compare_runs       `moontune compare`: the tuned models of two runs on the same test clips
    score_predictions  `moontune score`: every figure again from prediction files or runs, pooled
"""
