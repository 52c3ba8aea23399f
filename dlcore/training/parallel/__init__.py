"""One training in several processes: the same weights after every step as in one, but for rounding.

A batch of the preset is the batch of all processes together; each takes its part of it. Nothing here decides when to
record, save or end: process 0 does, and the others are told.
"""
