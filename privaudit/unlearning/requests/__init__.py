"""Who is to be forgotten: ``--forget``, and files of requests."""
