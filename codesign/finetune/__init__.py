"""Stage 4: quantization-aware training, in the arithmetic of the hardware."""
