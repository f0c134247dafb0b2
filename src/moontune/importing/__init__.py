"""From what people have to a data set: folders, tables, archives, subtitles, annotations.

In reading order:

    command      `moontune import`: what people have, as a data set that every verb takes
    on_the_way   `--manifest SOURCE` for a source that is no manifest: imported beside the runs
    data_set     A data set made of sources: manifest, audio, record, and what was left out
    recognise    What a source is, by what it contains
    unknown      What a file looks like of which no format is anything
    formats      (a folder) Ways in which corpora keep recordings and texts
    script       (a folder) Long recordings with a script and no times
    timed        (a folder) Long recordings with timed texts
    tables       (a folder) Tables, whatever they are written as
    values       What a source says of its utterances, and what a way of reading one is
    pauses       Where a recording is cut: at the captions' times, moved into the pause nearby
    audio_files  The audio file that a table means: by its path, else by its name
    text_files   Text files of any encoding as text
    old_latin    Which old encoding a text in Latin letters is in
    unpacking    Archives unpacked into a folder of their own: nothing outside of it, no bombs
    named_clips  Clips that are named more than once: with the same text, or with others
    clips        Rows' audio as clips of a data set: FLAC files, or stretches of the user's files
"""
