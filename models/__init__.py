"""Keras models: pictures in, versions out (architectures, data, training, calibration, registry)."""
