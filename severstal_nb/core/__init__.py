"Files, images, names, figures and processes: what every chapter stands on."
