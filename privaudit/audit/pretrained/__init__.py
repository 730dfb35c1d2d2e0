"""Audits of networks that were trained before: which, what of them is trained, and embeddings of a frozen one."""
