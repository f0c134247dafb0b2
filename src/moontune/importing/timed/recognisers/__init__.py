"""What programs and services write that recognise speech, a file each.

In reading order:

    documents     JSON of segments as captions, and what a service is
    kinds         Which program or service wrote a JSON file, told by its shape
    whisper_json  JSON of Whisper and its like
    whisper_tsv   TSV of Whisper: a head of start, end and text, and times in milliseconds
    sonix         Sonix: what a speaker says at a time, of words
    podcast       A podcast's transcript: segments that are sentences or words
    youtube       YouTube's own captions (json3)
    vosk          Vosk: results of words, one a file, a list of them, or one behind another
    services      (a folder) Services that recognise speech
"""
