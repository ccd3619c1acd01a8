"What training is made of: augmentation, loaders, callbacks, checkpoints."
