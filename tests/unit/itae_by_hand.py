"""The formulas of ITAE in NumPy, by loops over pixels, windows and kernels: they share nothing with
the product.
"""

import numpy as np


def convolve(x, weight, bias, stride):
    """[O, T', H', W'] of x [I, T, H, W]: zeros around it so that a stride of 1 keeps its size."""
    kernel = weight.shape[2:]
    padded = np.pad(x, [(0, 0), *((side // 2, side // 2) for side in kernel)])
    sizes = [-(-size // step) for size, step in zip(x.shape[1:], stride, strict=True)]
    out = np.zeros((len(weight), *sizes))
    for place in np.ndindex(*sizes):
        begin = [at * step for at, step in zip(place, stride, strict=True)]
        window = padded[:, *(slice(b, b + side) for b, side in zip(begin, kernel, strict=True))]
        out[:, *place] = (weight * window).sum((1, 2, 3, 4)) + bias
    return out


def spread(x, weight, bias, stride):
    """[O, T s, H s, W s] of x [I, T, H, W]: each value adds the kernel of 3 around its place."""
    sizes = [size * step for size, step in zip(x.shape[1:], stride, strict=True)]
    out = np.zeros((weight.shape[1], *(size + 2 for size in sizes)))  # with a border of 1
    for place in np.ndindex(*x.shape[1:]):
        begin = [at * step for at, step in zip(place, stride, strict=True)]
        added = np.tensordot(x[:, *place], weight, (0, 0))
        out[:, *(slice(b, b + 3) for b in begin)] += added
    return out[:, 1:-1, 1:-1, 1:-1] + bias[:, None, None, None]


def forward(frames, w):
    """Reconstruction and both latents of a clip [1, 16, H, W] by weights as a state has them."""

    def block(x, name, stride, up=False):
        step = spread if up else convolve
        x = step(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"], stride)
        norm = {one: w[f"{name}.1.{one}"][:, None, None, None] for one in NORM}
        x = (x - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
        x = x * norm["weight"] + norm["bias"]
        return np.where(x > 0, x, 0.2 * x)

    def lateral(x, name):
        return convolve(x, w[f"lateral.{name}.weight"], w[f"lateral.{name}.bias"], (4, 1, 1))

    static, dynamic = frames[:, ::4], frames
    for name, stride in (("conv1", 2), ("conv2", 2), ("conv3", 1), ("conv4", 1)):
        static = block(static, f"static.{name}", (1, stride, stride))
        dynamic = block(dynamic, f"dynamic.{name}", (1, stride, stride))
        if name == "conv1":
            static = np.concatenate([static, lateral(dynamic, name)])
    out = np.concatenate([static, lateral(dynamic, "conv4")])
    for name, stride in (("deconv1", 1), ("deconv2", 2), ("deconv3", 2)):
        out = block(out, f"decoder.{name}", (stride,) * 3, up=True)
    last = "decoder.deconv4"
    return spread(out, w[f"{last}.weight"], w[f"{last}.bias"], (1, 1, 1)), static, dynamic


NORM = ("running_mean", "running_var", "weight", "bias")


def gradient(x, y):
    """Mean difference of absolute differences along the width, plus the same along the height."""
    across = np.mean(np.abs(np.abs(x[:, 1:] - x[:, :-1]) - np.abs(y[:, 1:] - y[:, :-1])))
    down = np.mean(np.abs(np.abs(x[1:] - x[:-1]) - np.abs(y[1:] - y[:-1])))
    return across + down


def ms_ssim(x, y, weights):
    """Of two images [H, W] in [0, 1], with a weight a scale."""
    value, weights = 1.0, np.array(weights) / sum(weights)
    for scale, weight in enumerate(weights):
        luminance, contrast = ssim(x, y)
        last = scale == len(weights) - 1
        value *= max((luminance * contrast if last else contrast).mean(), 0) ** weight
        x, y = (halve(image) for image in (x, y))
    return value


def ssim(x, y):
    """Luminance and contrast at each place where the Gaussian window of 11 fits."""
    place = np.arange(-5, 6)
    window = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    shape = (x.shape[0] - 10, x.shape[1] - 10)
    luminance, contrast = np.empty(shape), np.empty(shape)
    for row, column in np.ndindex(shape):
        a, b = (image[row : row + 11, column : column + 11] for image in (x, y))
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        both = (window * (a - mean_a) ** 2).sum() + (window * (b - mean_b) ** 2).sum()
        cross = (window * (a - mean_a) * (b - mean_b)).sum()
        luminance[row, column] = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
        contrast[row, column] = (2 * cross + 9e-4) / (both + 9e-4)
    return luminance, contrast


def halve(image):
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 for side in image.shape)
    return image[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))


def worst(errors, side):
    """The largest mean of any side x side window of [H, W]."""
    rows, columns = (size - side + 1 for size in errors.shape)
    return max(
        errors[y : y + side, x : x + side].mean() for y in range(rows) for x in range(columns)
    )
