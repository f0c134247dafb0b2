"""Checks of this machine, and of the stack under moontune.

In reading order:

    command      `moontune doctor`: what is around moontune and under it, a line each
    environment  The surroundings of moontune: packages, hub, disk, audio codecs, device
    selftest     The self-test: what moontune's figures rest on, tried out on a base
    fixtures     Bases that the self-test tries its checks on: a tiny random base in memory, and a
                 real one
"""
