"""The process that answers a viewer's questions, so that the viewer needs no torch: ``python -m dlcore.engine``."""
