"What a net is made of: its input step, pretrained weights, the zoo of names."
