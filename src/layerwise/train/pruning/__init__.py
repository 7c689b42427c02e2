"""Models made cheaper: fewer blocks, fewer heads, fewer weights, eight bits; measured before and after."""
