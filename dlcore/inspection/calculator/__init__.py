"""The shape calculator: a line of layers or tensor arithmetic, worked out without a number being computed.

syntax.py      the tree of expressions that a line is, and what is wrong with a line that is none
grammar.py     text -> that tree; no eval, no attribute beyond the allow-list
rendering.py   the tree -> text
vocabulary.py  which layers, functions and methods there are
values.py      the tree -> tensors on the meta device
chains.py      layers in a row, and what each ? in them must be
gradients.py   the value and the derivatives of a formula, with real numbers
calculate.py   one line in, one answer out
"""
