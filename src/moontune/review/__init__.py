"""A page to go through a data set: hear, compare, correct, drop, split; the doubtful clips first.

In reading order:

    command      `moontune review`: a page to go through a data set
    data_set     What is reviewed: a manifest, or a run's data with what the run knows of it
    clips        Rows of a manifest as clips to review, and clips as rows of the reviewed manifest
    decisions    What was decided of a clip, as a line of the journal
    journal      The journal of a review: every decision on the disk before it is answered
    review       A review: clips, and what was decided of each so far
    files        The files that a review leaves, always those of its last decision
    listening    What models hear in the clips, in the background, remembered for the next start
    order        The most suspicious first: the rule, and which clip comes after which
    differences  A transcript held against what was heard, piece by piece to be taken
    desk         All that a review's page works with, opened from its files
    answers      What the page asks, and what it is answered
    app          The page's server
"""
