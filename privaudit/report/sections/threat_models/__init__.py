"""What inversion achieves under realistic threat models: the stored result, its sentences, its section."""
