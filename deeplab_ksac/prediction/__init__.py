"""From a trained model to classes of pictures: views, windows, tiles, files read and written."""
