"""The words of a user's own that a model is given: those asked for, or those kept with it.

In reading order:

    kept         What a run, or an export of one, keeps for its models
    key_terms    The list of key terms that a model writes: the one asked for, or its own
    domain_text  The text that has a say in a model's consensus: the one asked for, or its own
"""
