"""Every setting once: its name, default, meaning, range, and what is recommended for the data.

In reading order:

    schema       Every setting, once: its name, default, meaning and allowed range
    presets      Presets: named settings, under those of a file and of flags
    flag_marks   Marks on a field's type that say how it is given on the command line
    other_names  What settings and values are called by other trainers, and the nearest name here
    fields       Settings as fields: section, type and range of each; a value from a file as that
                 type
    loading      Settings from files into the configuration, and back into a file
    validation   Settings beside each other: what follows from others, and what none may be
    recommended  Settings recommended for a run's data where no flag says otherwise, and why
"""
