"""Choosing TT-ranks: empirical variational Bayes from the weights alone, and Bayesian optimisation of an objective."""
