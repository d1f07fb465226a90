"""From a checkpoint to one ONNX file that skips, and back for comparison."""
