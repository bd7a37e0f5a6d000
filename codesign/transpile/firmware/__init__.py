"""hls4ml's projects: what may be asked for, what its layers take, and how the C++ is compiled here."""
