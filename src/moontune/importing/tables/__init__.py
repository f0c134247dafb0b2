"""Tables, whatever they are written as: their columns and their rows.

In reading order:

    columns      Which column of a table is the audio, which the text, and what the others tell
    texts        Which column is what is said, where several may be
    stretches    Which part of a file cells mean: times and channels
    beyond       Cells beyond the last column: a note, or the rest of a text
    table_rows   The rows of a table as what its source says of utterances
    delimited    CSV, TSV and the like: delimiter and quotes found by what makes a table of the text
    annotators   Rows of one recording by several annotators
    merged       Rows of one recording: a cell of audio that is merged over several rows of Excel
    spreadsheet  Sheets of an Excel file (.xlsx) as rows of cells
    json_lines   Files of JSON objects, one a line, gzipped or not
    arrow_files  Parquet files and what `save_to_disk` writes: columns with the audio's own bytes
"""
