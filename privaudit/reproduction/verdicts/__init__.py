"""What runs answer: contrasts, corrected for several, in one of three words."""
