"""Key terms put where they were said: where words sound like one and the model finds it likely.

In reading order:

    candidates  Words of a transcript that a term may stand for, by how alike their letters are
    weighing    Which of them the model finds likely enough, and the transcript with these
"""
