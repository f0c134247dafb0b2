"""Reports that people read: functions from values to text, which open no run's folder.

results           the values: a run's results, two runs compared, a cross-validation
provenance        data, artifact, commands, settings and machine of a run, as tables
run_markdown      a run as Markdown
markdown_tables   a comparison in Markdown tables
markdown          Markdown that holds any text
html/             the same values as a page
"""
