"""How ``keras_cnn.onnx`` was made: in an environment of its own, by ``python make_keras.py``.

``pip install tensorflow-cpu tf2onnx`` (tensorflow 2.21.0, keras 3.15.1, tf2onnx 1.17.0). ``keras_cnn.npz`` has inputs
``[samples, 8, 8, 2]`` and what Keras gave for them. The input's last axis is the channels, as Keras has it, so tf2onnx
writes transposes around convolutions and pooling.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx

HERE = Path(__file__).parent

keras.utils.set_random_seed(0)
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((8, 8, 2), name="image"),
        layers.Conv2D(4, 3, padding="same", strides=2, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.ReLU(max_value=6, name="relu6"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Flatten(name="flatten"),
        layers.Dense(8, activation="relu", name="dense"),
        layers.Dense(3, activation="softmax", name="classes"),
    ]
)
random = np.random.default_rng(0)


def moved(value: np.ndarray, path: str) -> np.ndarray:
    """A weight away from where it begins; variances stay positive."""
    other = value + 0.3 * random.normal(size=value.shape)
    return np.abs(other) if "variance" in path else other


for layer in model.layers:
    pairs = zip(layer.get_weights(), layer.weights, strict=True)
    layer.set_weights([moved(value, variable.path) for value, variable in pairs])
x = random.normal(size=(16, 8, 8, 2)).astype(np.float32)
tf2onnx.convert.from_function(
    tf.function(lambda image: model(image, training=False)),
    input_signature=[tf.TensorSpec((None, 8, 8, 2), tf.float32, name="image")],
    opset=17,
    output_path=str(HERE / "keras_cnn.onnx"),
)
np.savez(HERE / "keras_cnn.npz", x=x, y=model.predict(x, verbose=0))
