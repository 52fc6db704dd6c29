"""The commands: `ksac <name>`, or `python scripts/<name>.py`; installed as `deeplab_ksac.scripts`."""

if __name__ == "scripts":  # its modules would be loaded a second time, under other names
    raise ImportError("this folder is the package deeplab_ksac.scripts; a command is `python scripts/<name>.py`")
