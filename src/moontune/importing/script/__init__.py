"""Long recordings with a script and no times: aligned, and cut where audio and script agree.

In reading order:

    passages   What a script says of one recording, as rows: clips, and what is left out
    reading    Scripts as lines of what is said: plain text, Markdown and Word files
    words      A script as words to align: how each is written, and how it sounds
    listening  What the base hears in a recording, a piece between two pauses at a time
    anchors    Where in the script each piece can be, by runs of words that both have once
    alignment  Which words of the script each piece says, and how sure its edges are
    cutting    Clips of pieces whose words are sure, and the passages between them
    unheard    Clips between these, of words that the base did not write and finds likely
"""
