"""Compiled loops of the feature families; arrays in, arrays out, objects as ranges of a pixel list."""
