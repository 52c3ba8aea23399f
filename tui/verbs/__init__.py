"""What can be typed: the verbs and their options. What a verb does is in `tui.commands`."""
