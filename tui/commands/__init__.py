"""What the verbs of the command line do, one file a family; each is imported only when its verb runs."""
