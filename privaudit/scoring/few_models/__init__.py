"""One model attacked with few or no others: what is known of it, and how well each attack does."""
