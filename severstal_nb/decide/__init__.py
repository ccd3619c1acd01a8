"From probabilities to decisions: masks, submissions, thresholds."
