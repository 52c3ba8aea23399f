"""Episodes of an environment: how they are played, and how they look as text."""
