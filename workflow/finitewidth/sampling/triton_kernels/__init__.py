"""Kernels in Triton: networks drawn on a GPU, no normal of which is ever written to memory.

They may import `core`, `models` and `record.py` beside this folder. `marginal.py` and
`marginal_ntk.py` say what is covered and call the kernels of `networks.py`, `tangents.py` and
`tangents_back.py`; below these stand `matrices.py`, `activations.py` and `normals.py`. All modules
but `covered.py` import triton, which only builds of torch for CUDA bring along.
"""
