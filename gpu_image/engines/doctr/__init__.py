"""docTR's nets, fed as fast as they can read.

What the modules are, in the order in which a page meets them:

    engine        pages in, texts out: each step hands a page on or ends it
    arena         memory shared with the worker processes: one slot for each page in flight
    workers       the pool of processes that do what needs no GPU
    worker, jobs  such a process, and what it is asked and answers
    frame         where a page lies in the detector's square
    resize        making pictures smaller as docTR does
    boxes         from a map of text to the boxes of its words
    crops         from boxes to the small pictures that the recogniser reads
    stage         a thread that feeds a net; its batches wait in `queues`
    nets          orientation, detection and recognition, on GPU or CPU

`nets` loads Torch, and with it `stage` and `engine`; the others, which worker processes
load, do not.
"""
