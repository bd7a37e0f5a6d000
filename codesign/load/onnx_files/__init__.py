"""Reading ONNX files, from the bytes to a graph in its final form."""
