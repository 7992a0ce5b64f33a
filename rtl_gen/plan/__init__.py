"""Planning: resources of a folding, the search for one, and the plan file."""
