"""How sure it is of a word: the chance that a word of a consensus transcript is right.

In reading order:

    written      A text as it is written, each word with what WER counts for it
    agreement    How far a clip's beams agree with each word of the transcript that is taken
    calibration  From what a clip's beams tell of a word to the chance that the word is right
"""
