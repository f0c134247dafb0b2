"""The page of a run, of two runs, of a cross-validation: one file that works offline.

In reading order:

    page           A run, or two runs compared, as one HTML page that needs nothing else
    contents       The contents of pages: of a run, of two runs compared, of a cross-validation and
                   its adapter
    figures        A comparison as the page shows it: cards and tables of written figures, with
                   their plots
    svg            Plots as inline SVG that fits any width: percent across, pixels down
    loss_curve     Loss curves of a training as inline SVG
    reliability_picture
                   Confidences of words held against what is right, as inline SVG
    changed_clips  The clips whose errors changed most, with their words compared and their audio
    templating     Templates and elements that hold any text: what others wrote stays text in
                   HTML and SVG
"""
