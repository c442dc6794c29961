from ._class_sketch import ClassSketch as ClassSketch
