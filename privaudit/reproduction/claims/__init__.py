"""What is asked: experiments, their claims, forget sets, sizes, and the figures that the paper prints."""
