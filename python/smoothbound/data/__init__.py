"""Labelled images by a short name, scaled to [0, 1], channels first.

==================  =================================================================
``digits``          scikit-learn's handwritten digits, 1 x 8 x 8; embedded, no download
``cifar10:DIR``     CIFAR-10 as Parquet: ``DIR/train.parquet``, ``DIR/test.parquet``, or in
                    parts, ``train-00000-of-00001.parquet``, in DIR, ``DIR/plain_text`` or
                    ``DIR/data``, with the columns ``img`` or ``image`` (struct of bytes and
                    path) and ``label``; or as its makers give it: ``cifar-10-batches-bin``, or
                    ``cifar-10-batches-py`` (pickles, of which nothing is run), in DIR or DIR
                    itself
``imagenet:DIR``    ``DIR/val`` and ``DIR/train``, or DIR, with a folder for each of the 1000
                    classes, named by its WordNet id, or by its number from 0; the shorter
                    side resized to 256, the central 224 x 224
``images:DIR``      ``DIR/test`` or ``DIR/val``, and ``DIR/train``, or DIR, with a folder for
                    each class; all images of one size, grey or RGB
``npz:FILE``        arrays ``images`` (n, channels, height, width), uint8 or float32 in
                    [0, 1], and ``labels`` (n,); one file is one split, whichever is asked
==================  =================================================================

Labels count from 0. In folders they are positions in the sorted list of the class folders, of
``DIR/train`` where it is there; folders whose names begin with a dot are no classes. Images are
JPEG, PNG, PPM, BMP, TIFF or WebP files that lie directly in their class folder.
`Dataset.summary` says what was read, and what was passed over.
"""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
