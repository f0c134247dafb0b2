"""What the rows of a manifest say.

In reading order:

    fields    Fields of a manifest's rows: their names in moontune and elsewhere, and what their
              values say
    empty_texts  What programs write where a text is empty
    label_studio  What a record of Label Studio's JSON_MIN has beside a text
    sessions  When, or in which recording, a row's clip was made, by the fields that tell it
"""
