"""How fast a preset trains on this machine, beside a bare loop, and what would make it faster: all measured."""
