"""Checks of this machine, and of the stack under moontune.

In reading order:

    command      `moontune doctor`: what is around moontune and under it, a line each
    environment  The surroundings of moontune: packages, hub, disk, audio codecs, device
    selftest     What moontune's figures rest on, tried out on a base: is the stack below still
                 what it was?
    fixtures     What the self-test tries its checks on: a tiny random base in memory, and a real
                 one
"""
