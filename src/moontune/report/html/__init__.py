"""The page of a run, of two runs compared or of a cross-validation: one file that needs no other.

contents        what stands on which page
page            a page, from its values to HTML
figures         a comparison as cards and tables with plots
changed_clips   the clips whose errors changed most, with their audio
loss_curve      the losses of a training, drawn
svg             plots that fit any width
templating      elements and templates that hold any text
templates/      layout, words and style
"""
