"""What one epoch of a recipe takes on images of a network's size, and what the whole recipe would.

    python benchmarks/trial.py [resnet10_cifar] [--images 512] [--of 50000] [--smoke]

trains on that many random images (time does not depend on what they show) after one step that is not counted, and
scales to an epoch of `--of` images and to the recipe's epochs. Where other work runs beside it, the CPU's seconds say
more than the clock's: both are printed.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from archprof.results.conditions import Conditions
from archprof.trials import networks, shipped
from archprof.trials.data import Arrays
from archprof.trials.training import Training


def main() -> None:
    """Train a little, say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="resnet10_cifar")
    parser.add_argument("--smoke", action="store_true", help="a small network and few images: that it runs")
    parser.add_argument("--recipe", help="default: the model's own")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--of", type=int, default=50_000, help="images of the epoch that is told")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    args = parser.parse_args()
    if args.smoke:
        args.model, args.images = "resnet_tiny", 32
    recipe = replace(shipped.find(args.recipe or shipped.usual(args.model) or ""), dtype=args.dtype)
    network = networks.network(args.model, 10)
    draw = np.random.default_rng(0)

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        return draw.integers(0, 256, (count, *network.input_shape), dtype=np.uint8), np.arange(count) % 10

    data = Arrays("random", images(args.images), images(10), tuple("0123456789"), "random").load(network.input_shape)
    where = Conditions(device=args.device)
    warm = replace(recipe, batch_size=min(recipe.batch_size, args.images))
    first = Arrays("random", images(recipe.batch_size), images(10), tuple("0123456789"), "random").load(
        network.input_shape
    )
    Training(network.build(0), warm, first, network.input_shape, where, 0).epoch(0)
    training = Training(network.build(0), recipe, data, network.input_shape, where, 0)
    cpu = time.process_time()
    seen, _ = training.epoch(0)
    cpu = time.process_time() - cpu
    scale = args.of / args.images
    print(f"{args.model}, {recipe.optimizer}, batch {recipe.batch_size}, {recipe.dtype}, {args.device}")
    print(
        f"{args.images} images: {seen.train_seconds:.2f} s by the clock, {cpu:.2f} s of the CPU (10 evaluated as well)"
    )
    for what, epochs in (("one epoch", 1), (f"the recipe's {recipe.epochs} epochs", recipe.epochs)):
        clock, busy = seen.train_seconds * scale * epochs / 60, cpu * scale * epochs / 60
        print(f"{what} of {args.of:,} images: {clock:.1f} min by the clock, {busy:.1f} min of the CPU, scaled")


if __name__ == "__main__":
    main()
