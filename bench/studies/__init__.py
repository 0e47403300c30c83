"""Studies: questions that real data answer, each a script, its table and what the table says in words."""
