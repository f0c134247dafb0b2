"""Files and channels, as `data/audio.py` reads them.

In reading order:

    ffmpeg_audio  Audio that libsndfile does not know, decoded by FFmpeg: m4a, mp4, aac, webm, amr,
                  wma
    file_kinds    What a file is that is no audio, or none that can be decoded, by its first bytes;
                  what helps
    stereo        Two channels of a recording: opposite phases made mono, and two people told from
                  one
    speeds        A clip as it would sound at another speed, for models that hear it several times
    bandwidth     Telephone sound: nothing above 4 kHz, whatever the sampling rate of the file says
"""
