"""Reports, for people: pure functions from values to text; no folder is opened here.

In reading order:

    results          (a folder) The values that reports are made of
    markdown         Markdown that holds any text without letting it become markup
    markdown_tables  A comparison with its intervals in Markdown tables
    provenance       The provenance of a run as tables: its data, artifact, commands, settings
                     and machine
    confidence       Confidences of words, in words and in figures
    domain_text      What a text of the domain changes in the consensus of both models, in sentences
    key_terms        Key terms and rare words, in sentences and tables
    new_clips        What a run's new clips bought: it beside the run that it came after, on the
                     same test clips
    suspicion        Transcripts that look wrong, in words
    public           What a collected report may hold of a run: figures, and no words of
                     anybody's
    run_markdown     A run as Markdown: its own report, and its section of the collected one
    final_adapter    An adapter trained on all clips: what is said of it, its report, and its
                     section of the collected one
"""
