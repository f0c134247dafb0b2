"""Every setting once: its name, default, meaning, range, and what is recommended for the data.

In reading order:

    schema       Every setting, once: its name, default, meaning and allowed range
    presets      Presets: named settings, under those of a file and of flags
    loading      Settings from files and flags into the configuration, checked, and back into a
                 file
    recommended  What a run recommendations for its data where no flag says otherwise, and why
"""
