"""What the registry says of images: their facts, and the questions still to be asked."""
