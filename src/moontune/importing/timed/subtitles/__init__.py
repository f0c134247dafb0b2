"""Subtitles: lines that are shown while they are said.

In reading order:

    srt_vtt     SRT and WebVTT, read by webvtt-py
    sbv         SBV, YouTube's: begin and end divided by a comma
    bilingual   Subtitles in several languages at once: which of them is said
    substation  SubStation Alpha (ASS, SSA): the lines that are said, without their styles
    ttml        TTML and DFXP: paragraphs with times, and who speaks in each
    ttml_times  Times in TTML: clocks, frames, ticks and seconds
"""
