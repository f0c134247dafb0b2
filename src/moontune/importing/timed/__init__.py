"""Long recordings with timed texts: subtitles and annotations cut into clips.

In reading order:

    captions      Texts with times, as subtitles and annotation programs keep them
    subtitles     (a folder) SRT, WebVTT, SBV, SubStation, TTML
    textgrid      Praat's TextGrid, read by praatio
    elan          ELAN's `.eaf`, read by pympi
    labels        Audacity's labels: a line of begin, end and text, divided by tabs
    otranscribe   oTranscribe's `.otr`: times, each the begin of what follows
    recognisers   (a folder) What programs and services write that recognise speech
    timed_table   Tables of times and texts beside their recording
    nist          CTM and STM, of NIST's scoring toolkit
    xml_files     XML that others wrote, without entities
    beside        Which file beside a recording says what is said in it
    joining       Captions joined to sentences, and those left out that cannot be cut out
    scripted      Texts of which only the begin is told, cut by ear where they are too long
    cutting       Files with timed texts as rows: captions joined and cut in the pauses
"""
