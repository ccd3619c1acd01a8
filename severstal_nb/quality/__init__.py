"Labels that are wrong, images to learn from without labels, and which to label next."
