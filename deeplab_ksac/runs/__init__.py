"""What a training leaves in its folder, and what is made of it."""
