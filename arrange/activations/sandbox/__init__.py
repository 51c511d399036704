"""Programs run where they can harm nothing: a pool of processes that each job finds fresh."""
