"""Trained networks: data, training of replicas, spectra, alignment, and networks generated anew."""
