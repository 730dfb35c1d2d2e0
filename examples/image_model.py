"""An image classifier of your own: privaudit score --dataset examples/image_model.py:data --network examples/image_model.py:network"""

from sklearn.datasets import load_digits
from torch import nn


def data():
    images, labels = load_digits(return_X_y=True)
    images = (images * 15).astype("uint8").reshape(-1, 8, 8)  # uint8 [N, H, W], or [N, H, W, C]
    return {"x_train": images[:600], "y_train": labels[:600], "x_test": images[600:900], "y_test": labels[600:900]}


def network(input_shape, classes):
    height, width, channels = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * height * width, classes)
    )
