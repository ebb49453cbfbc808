"""The machinery: models, layout, sampling, optimisation. It knows no algorithm."""
