"""The commands: `ksac <name>`, or `python scripts/<name>.py`; installed as `deeplab_ksac.scripts`."""
