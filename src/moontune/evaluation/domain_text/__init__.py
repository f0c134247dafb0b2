"""The text of a user's domain, as it has a say in the consensus of beams.

In reading order:

    weight   How much of a say, chosen on validation clips
    results  The test transcripts of a model that it changes
"""
