"""In which order and in which stages samples are handed to a method, and the ledger of it."""
