"""One training loop for all networks, and the parts it is made of."""
