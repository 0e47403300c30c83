"""Work in tasks that may run anywhere, be merged in any order, and be taken up again after a crash."""
