"""How many threads compute, and how they wait for one another.

In reading order:

    processors     How many processors there are for this process, and how many others leave free
    waiting        Threads that wait for one another spin where nothing else is at work, and give
                   their processor away where something is
"""
