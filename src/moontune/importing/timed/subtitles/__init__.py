"""Subtitles: lines that are shown while they are said.

In reading order:

    srt_vtt  SRT and WebVTT, read by webvtt-py
"""
