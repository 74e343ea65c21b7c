"""Ensembles of random networks under gradient descent on squared errors.

It may import `theory.mlp_ntk` and what stands below it. Start at `gradient_descent.py`. (What is
measured of networks trained on images has no part in it: that is the room `trained`.)
"""
