"""What pages on this machine have in common: a server, guarded requests, sound, clips they keep.

In reading order:

    http_server      The HTTP server of a page, and its patience with connections that say nothing
    hosts            The names that a page answers to, and whether they let the network in
    certificate      A certificate of this machine's own, made for one start of a page
    access_code      A one-time code, shown in the terminal, that lets a device of the network in
    network          The network let in: by a code, over HTTPS, and told how in the terminal
    requests         Requests that only the page itself may make, and how they are answered
    pages            A page: itself, its files, and what it asks of its server
    model_sources    Models that pages let hear: a base alone, or what was tuned beside its base;
                     not loaded yet
    sounds           Sound on its way from a page and to it
    corrected_clips  Clips that somebody corrected, kept as a manifest for the next run
    prompts          Sentences to read aloud
    next_training    When there is enough to train on, and the command that does it
    training_job     A training that a page starts: `moontune run` in a process of its own, watched
                     by what it prints
"""
