"""Ways in which corpora keep recordings and texts, a file each or a file a family.

In reading order:

    common_voice  Common Voice: `validated.tsv` with `client_id`, `path`, `sentence`, and `clips/`
    ljspeech      LJSpeech: `metadata.csv` without a head, cells divided by `|`, and `wavs/`
    hugging_face  What `datasets` writes and loads: save_to_disk, parquet, a folder with metadata
    kaldi         Kaldi: `wav.scp`, `text`, and where they are there `segments` and `utt2spk`
    manifest      A manifest: moontune's own, NeMo's, and a folder that `moontune import` made
    label_studio_tasks  What Label Studio's tasks say, and of which audio
    label_studio  Label Studio: tasks with their audio, and what annotators wrote of it
    lhotse        Lhotse: cuts, or recordings and supervisions, as JSON lines
    prompts       VoxForge, LibriSpeech and lists: a line for each clip, its name and what is said
    table         Any table with a column of audio files and one of texts: CSV, TSV, .xlsx
    pairs         Pairs of a recording and its text: `a.wav` and `a.txt`
"""
