"""Labelled images by a short name, scaled to [0, 1], channels first.

==================  =================================================================
``digits``          scikit-learn's handwritten digits, 1 x 8 x 8; embedded, no download
``cifar10:DIR``     CIFAR-10 as Parquet: ``DIR/train.parquet``, ``DIR/test.parquet``, or in
                    parts, ``train-00000-of-00001.parquet``, in DIR, ``DIR/plain_text`` or
                    ``DIR/data``, with the columns ``img`` or ``image`` (struct of bytes and
                    path) and ``label``; or as its makers publish it: ``cifar-10-batches-bin``
                    or ``cifar-10-batches-py`` (pickles, from which no code is run), in DIR or
                    as DIR itself
``imagenet:DIR``    ``DIR/val`` and ``DIR/train``, or DIR, with a folder for each of the 1000
                    classes, named by its WordNet id, or by its number from 0; the shorter
                    side is resized to 256, and the central 224 x 224 is taken
``images:DIR``      ``DIR/test`` or ``DIR/val``, and ``DIR/train``, or DIR, with a folder for
                    each class; all images of one size, grey or RGB
``npz:FILE``        arrays ``images`` (n, channels, height, width), uint8 or float32 in
                    [0, 1], and ``labels`` (n,); the file is the split that is asked for
==================  =================================================================

Labels count from 0. In folders they are positions in the sorted list of the class folders, which is
the list of ``DIR/train`` if that exists. A folder whose name begins with a dot is not a class.
Images are JPEG, PNG, PPM, BMP, TIFF or WebP files that lie directly in their class folder.
`Dataset.summary` describes the images that were read and the files that were skipped.
"""

from smoothbound._utils.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
