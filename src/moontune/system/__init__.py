"""Whatever stands between moontune and the machine: files, locks, signals, devices, processes.

In reading order:

    files          Files written whole or not at all
    cache          Where moontune keeps what it can make again, and folders there that are whole
                   or absent
    package_files  Files inside installed packages, found and checked without importing the
                   package
    redaction      Access tokens, kept out of everything that is printed or written down
    file_kinds     What a file looks like by how it begins: a recording, an archive, a table
    formatting     Text for a terminal: what others wrote made safe, numbers and counts in words
    progress       How a stage tells the user what happens
    signals        Ctrl-C and the like while something is computed that can be finished first
    distributed    Several processes as one run: torchrun or accelerate starts them, each takes
                   its share
    device         Which device computes and why, and which operators it handed back to the CPU
    threads        How many threads compute, and how they wait for one another
    memory         Memory of the process: how it is given back, and when there is too little of
                   it
    fast_imports   torch, transformers and peft, imported in less time and memory than they take
                   by themselves
    hub_client     Requests to the hub: how long they may take, when they are tried again, what
                   is said meanwhile
"""
