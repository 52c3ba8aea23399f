"""A whole training step recorded once and replayed in one launch: what is static, what records it, what it needs."""
