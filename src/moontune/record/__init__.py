"""A page to record on, one sentence at a time, for who has nothing yet but a microphone.

In reading order:

    command       `moontune record`: sentences to read, and the data set that is made of them
    terms         Words and phrases of the speaker's own, woven into sentences
    session       Which sentences have a take, and what the takes are good for
    take_quality  What is wrong with a take, from its samples alone
    app           The application: the page, and what it asks
"""
