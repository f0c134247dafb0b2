"""Key terms of a run.

In reading order:

    writing  The list written by a model: its bonus chosen on validation clips, its test transcripts
    figures  Key terms and rare words of a run, or of all folds, in figures
    proposing
             `moontune terms`: words that were corrected, as a list to look through
"""
