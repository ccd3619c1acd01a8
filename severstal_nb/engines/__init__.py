"What predicts with an exported file, without PyTorch."
