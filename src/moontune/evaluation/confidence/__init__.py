"""Whether confidences of words are what they say: calibrated, and measured.

In reading order:

    judged       Words of consensus transcripts, each with its confidence and whether it is right
    fitting      A calibration fitted to words of which it is known whether they are right
    reliability  How reliable confidences are: of the words called 90 % sure, how many are right
"""
