"""Transcripts held against their audio: which of them look wrong.

In reading order:

    transcript_fit  How well a transcript fits its audio: what hearing it adds to the text's
                    likelihood
    suspects        Transcripts that look wrong: whose own audio makes them no likelier than other
                    clips' audio does
    mismatch        Texts that do not belong to their audio: what that looks like, from a model's
                    transcripts
"""
