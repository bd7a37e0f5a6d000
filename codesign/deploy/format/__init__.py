"""What every format for deployment is made of: the pass, its proof, and `manifest.json`."""
