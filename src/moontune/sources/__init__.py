"""Where utterances come from. Each source has a module; `sample` picks one by name."""
