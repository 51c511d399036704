"""Runs programs where they can do no harm: in processes that are fresh for each job."""
