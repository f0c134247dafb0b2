"""What programs and services write that recognise speech, a file each.

In reading order:

    documents     JSON of segments as captions, and what a service is
    kinds         Which program or service wrote a JSON file, told by its shape
    whisper_json  JSON of Whisper and its like
    whisper_tsv   TSV of Whisper: a head of start, end and text, and times in milliseconds
    assemblyai    AssemblyAI: utterances, sentences or words, in milliseconds
    deepgram      Deepgram: utterances, sentences or words
    google        Google's Speech-to-Text: words, with times such as `1.500s`
    aws           Amazon Transcribe: words with times, marks without
    azure         Azure: phrases with ticks of 100 ns, `PT1.5S`, or milliseconds
    rev_ai        Rev: monologues of elements
    speechmatics  Speechmatics: words and marks
    elevenlabs    ElevenLabs: words, spaces and sounds
"""
