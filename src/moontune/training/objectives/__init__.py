"""What an update lowers, and what is kept by: the usual loss, or word errors.

likelihood    Loss of the labels' tokens.
word_errors   Expected word errors among the model's own likeliest transcripts.
"""
