"Label quality: errors in labels, pseudo-labels, and what to label next."
