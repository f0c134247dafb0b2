"""JSON of services that recognise speech, a file each.

In reading order:

    assemblyai      AssemblyAI: utterances, sentences or words, in milliseconds
    deepgram        Deepgram: utterances, sentences or words
    google          Google's Speech-to-Text: words, with times such as `1.500s`
    aws             Amazon Transcribe: words with times, marks without
    call_analytics  Amazon Transcribe Call Analytics: turns of agent and customer
    azure           Azure: phrases with ticks of 100 ns, `PT1.5S`, or milliseconds
    rev_ai          Rev: monologues of elements
    speechmatics    Speechmatics: words and marks
    elevenlabs      ElevenLabs: words, spaces and sounds
    gladia          Gladia: utterances of words
    soniox          Soniox: tokens, which are parts of words
    watson          IBM Watson: results of words with times, and speakers by their times
"""
