"""An audit whose models are estimators: what does not go with that, and what is known of the user's own."""
