"""What skipping costs and gains on real speech: every part switched on and off.

One table of models trained on the same data for the same number of steps, and of
everything that each of them can be asked to do: all layers, stopping at a layer,
skipping. Models are trained by a loop of its own around ESPnet's model classes, on
features that are computed once, because ESPnet's trainer would spend most of a short
lease of a GPU on reading audio. What it leaves behind is an ESPnet experiment.
"""
