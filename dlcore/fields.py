"""Constrained types for builders' keyword arguments.

A builder's annotations are its schema: what they allow is checked before anything runs, shown in
the form, and named in the error. Non-finite numbers are never allowed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

Count = Annotated[int, Field(gt=0, le=2**31)]
"""A whole number of at least 1."""

CountOrZero = Annotated[int, Field(ge=0, le=2**31)]
"""A whole number of at least 0; the builder says what 0 means."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0."""

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A finite number of at least 0."""

Number = Annotated[float, Field(allow_inf_nan=False)]
"""Any finite number."""

Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
"""A share from 0 up to, not including, 1: dropout, validation and test parts, momentum."""

Widths = Annotated[tuple[Count, ...], Field(max_length=1000)]
"""Sizes of successive layers, such as ``[256, 256]``; may be empty."""

Name = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""A name; a whole number is the name that it is written as: the digit ``7`` is ``"7"``."""

Names = tuple[Name, ...]
"""Names, such as those of classes: ``["cat", "dog"]``, ``[3, 5]``; may be empty."""
