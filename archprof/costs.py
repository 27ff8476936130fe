import torch
from math import prod
aten=torch.ops.aten
generation=0
class Shape(tuple):
    def __new__(cls, dims, dtype=None, nnz=None, device="meta"):
        self=super().__new__(cls,dims); self.dtype=dtype; self.nnz=nnz; self.device=device; return self
def macs(func,args,kwargs,out):
    n=str(func)
    if 'convolution.' in n: 
        x,w=args[:2]; tr=args[6]; o=x if tr else out
        return o[0]*prod(o[2:])*prod(w)
    if 'addmm' in n: return prod(args[1])*args[2][1]
    if 'aten.mm' in n: return prod(args[0])*args[1][1]
    if 'aten.bmm' in n: return prod(args[0])*args[1][2]
    return 0
