"""Training by the fast recipe; every epoch is written at once."""

from __future__ import annotations

import sys
from time import perf_counter

import records
from bench_sampler import CLASSES
from measure import SIGMA

ARCH = "cifar_resnet20"


def main() -> None:
    step, _ = records.step("training")
    try:
        from smoothbound.data import Dataset
        from smoothbound.train import Epoch, accuracy_under_noise, train
    except ImportError as error:
        step.write(what="skipped", why=str(error))
        sys.exit(records.SKIPPED)
    images = None if step.small else step.images("train")
    generated = images is None
    if images is None:
        pixels = records.random_images((3, 32, 32), 64 if step.small else 50_000)
        labels = (pixels.mean((1, 2, 3)) * 1000).long().numpy() % CLASSES.get(ARCH, 10)
        images = Dataset("generated", "all", pixels.numpy(), labels, 10, (3, 32, 32), augment=True)
    start = perf_counter()

    def told(epoch: Epoch) -> None:
        step.write(
            epoch=epoch.number,
            epochs=epoch.epochs,
            generated=generated,
            accuracy=records.rounded(epoch.accuracy),
            loss=records.rounded(epoch.loss),
            seconds=records.rounded(perf_counter() - start),
        )

    epochs = 1 if step.small else 2 if generated else None
    model = train(
        images,
        ARCH,
        sigma=SIGMA,
        epochs=epochs,
        batch_size=32 if step.small else None,
        device=step.device,
        on_epoch=told,
    )
    test = None if generated else step.images("test", 2000)
    if test is not None:
        accuracy = accuracy_under_noise(model, test, sigma=SIGMA)
        step.write(what="test", images=len(test), accuracy=records.rounded(accuracy))
    sys.exit(0)


if __name__ == "__main__":
    main()
