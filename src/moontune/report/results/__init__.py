"""The values that reports are made of. Nothing here opens a run's folder.

In reading order:

    metrics   What a run measured and was made of: its `metrics.json`
    run       One run's results
    compared  Two runs compared
    crossval  The results of a cross-validation, and of a sweep
    final     A cross-validation's adapter, trained on all clips
"""
