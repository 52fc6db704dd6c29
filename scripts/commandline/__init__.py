"""What the commands share: flags, the experiment on the command line, progress, and how a command ends."""
