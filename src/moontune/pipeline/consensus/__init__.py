"""The beams that a run's models choose their consensus from.

In reading order:

    search       The validation clips' beams of a model
    domain_text  The say of the run's text among them: its weight, and the test transcripts that it
                 changes
    figures      Predictions of a run with what the text makes of them, and how that has a say
"""
