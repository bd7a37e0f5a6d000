"""Writing ONNX files: of the integers, with quantizers, and of the float network."""
