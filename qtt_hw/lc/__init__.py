"""Learning-compression: a network trained while its weights are pulled towards their compression."""
