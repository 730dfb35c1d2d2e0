"""What ``privaudit init`` asks at a terminal: a question at a time, each answer held against the data at once."""
