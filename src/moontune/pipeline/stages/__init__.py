"""The stages of a run, a file each.

In reading order:

    sample    Stage sample: utterances corpus from the source into a new run
    clean     Stage clean: utterances that cannot be used dropped, with the reasons
    split     Stage split: train, val and test, no speaker in two
    labels    Stage labels: training text in the style the base writes, from references and its
              transcripts
    baseline  Stage baseline: the base measured on the test split
    train     Stage train: settings recommended for the data, the adapter trained, the best one
              written
    evaluate  Stage evaluate: the tuned model measured as the base was
    artifact  Stage artifact: adapter and processor reloaded in a fresh process, on held-out
              clips
    verdict   Stage verdict: the run judged, and everything it measured in metrics.json
    report    Stage report: the run's Markdown and page, and its section in the collected report
    measure   A model measured, as stages baseline and evaluate do: on the test split and general
              speech
"""
