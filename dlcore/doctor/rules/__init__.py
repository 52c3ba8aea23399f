"""The rules, one group a module; a new module is found by itself."""
