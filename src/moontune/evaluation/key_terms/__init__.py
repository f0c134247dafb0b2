"""Key terms: how many of the words that a user needs are written, and how many that nobody said.

In reading order:

    counting  Key terms said, written and invented, clip by clip, and errors in all other words
    figures   How many of them both sides of a comparison write, and how surely
    phrasing  These figures in words
"""
