"""Who is most exposed, as far as models that did not pick them confirm it: samples, and people with several."""
