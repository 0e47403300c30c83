"""``python -m kernalign.gpucheck``: does a CUDA device give the CPU's answers, in all it is asked, and how fast?"""
