"""docTR's nets, fed as fast as they can read.

What the modules are, in the order in which a page meets them:

    engine        pages in, texts out; the stages, their threads and their limits
    arena         memory shared with the worker processes: one slot for each page in flight
    workers       the processes that do what needs no GPU, and the pool that speaks to them
    frame         where a page lies in the detector's square
    nets          orientation, detection and recognition, batch by batch, on GPU or CPU
    boxes         from a map of text to the boxes of its words
    words         from boxes to the small pictures that the recogniser reads

`engine` and `nets` import Torch; the others, which worker processes load, do not.
"""
