#!/usr/bin/env python3
"""PyTorch's numbers for the operations of networks over images, and some others: layers_golden.safetensors.

usage: layers_golden.py [FILE]      (default: the resource of fornax.conformance; needs torch and numpy, nothing else)

Per case <c>: <c>.in.<x> (F32 or I64), <c>.gout (F32, the gradient of the output), and in float64, for those float32
inputs, <c>.out and <c>.grad.<x>. The parameters of each case are in the file's __metadata__ under its name.
The float32 results, which are the same with the prefix f32., say how far PyTorch itself is off.
"""
import json, os, struct, sys
import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
    HERE, "../../main/resources/fornax/conformance/layers_golden.safetensors")
DTYPES = {np.dtype("float64"): "F64", np.dtype("int64"): "I64", np.dtype("float32"): "F32"}
torch.set_num_threads(1)
random = torch.Generator().manual_seed(2024)
tensors, parameters = {}, {"torch": torch.__version__}


def normal(*shape, std=1.0, mean=0.0):
    return mean + std * torch.randn(shape, generator=random)


def case(name, function, inputs, constants=(), **given):
    """Runs function(**inputs) in float64 and float32, and backward from a random gradient."""
    parameters[name] = given
    seed = None
    for prefix, dtype in (("", torch.float64), ("f32.", torch.float32)):
        leaves = {k: v.to(dtype).clone().requires_grad_(k not in constants) for k, v in inputs.items()}
        y = function(**leaves)
        if seed is None:
            seed = normal(*y.shape) if y.dim() else torch.tensor(1.0)
        y.backward(seed.to(dtype))
        tensors[prefix + name + ".out"] = y.detach().clone()
        for k, v in leaves.items():
            if k not in constants:
                tensors["%s%s.grad.%s" % (prefix, name, k)] = v.grad.clone()
    for k, v in inputs.items():
        tensors["%s.in.%s" % (name, k)] = v.contiguous()
    tensors[name + ".gout"] = seed


def conv2d(name, x, w, bias=True, **given):
    inputs = dict(x=x, w=w, b=normal(w.size(0))) if bias else dict(x=x, w=w)
    case("conv2d." + name, lambda x, w, b=None: F.conv2d(x, w, b, **given), inputs, **given)


conv2d("sequence", torch.arange(1.0, 6).reshape(1, 1, 1, 5), torch.arange(1.0, 4).reshape(1, 1, 1, 3), False,
       stride=1, padding=0)
conv2d("digits", normal(3, 1, 28, 28), normal(8, 1, 5, 5), stride=1, padding=2)
conv2d("strided_groups", normal(2, 4, 9, 8), normal(6, 2, 3, 2), stride=2, padding=1, groups=2)
conv2d("depthwise", normal(2, 5, 8, 7), normal(10, 1, 3, 3), stride=1, padding=1, groups=5)
conv2d("dilated_strided", normal(2, 3, 13, 11), normal(4, 3, 3, 3), stride=3, padding=4, dilation=2)
conv2d("wide_padding", normal(2, 2, 3, 4), normal(3, 2, 2, 2), stride=1, padding=3)

for op, function in (("max_pool2d", F.max_pool2d), ("avg_pool2d", F.avg_pool2d)):
    for name, shape, given in (("plain", (2, 3, 8, 7), dict(kernel_size=2, stride=2, padding=0)),
                               ("padded", (2, 3, 9, 8), dict(kernel_size=3, stride=2, padding=1)),
                               ("overlapping", (1, 4, 7, 7), dict(kernel_size=4, stride=1, padding=2))):
        case("%s.%s" % (op, name), lambda x, f=function, g=given: f(x, **g), dict(x=normal(*shape)), **given)
case("max_pool2d.ties", lambda x: F.max_pool2d(x, 3, 2, 1), dict(x=normal(2, 3, 9, 9).round()),
     kernel_size=3, stride=2, padding=1)

for name, shape in (("rows", (7, 13)), ("images", (3, 5, 6, 7)), ("sequences", (4, 3, 31))):
    C = shape[1]
    case("batch_norm." + name, lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.1, 1e-5),
         dict(x=normal(*shape, std=2, mean=0.5), w=normal(C, std=0.3, mean=1), b=normal(C)), eps=1e-5, training=True)
    case("batch_norm.%s_evaluated" % name,
         lambda x, w, b, mean, variance: F.batch_norm(x, mean, variance, w, b, False, 0.1, 1e-5),
         dict(x=normal(*shape), w=normal(C), b=normal(C), mean=normal(C), variance=normal(C).square() + 0.5),
         ("mean", "variance"), eps=1e-5, training=False)
case("batch_norm.offset", lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0.1, 1e-5),
     dict(x=normal(33, 5, std=0.1, mean=100), w=normal(5), b=normal(5)), eps=1e-5, training=True)

for dim in (0, 1, 2):
    case("sort.dim%d" % dim, lambda x, d=dim: torch.sort(x, dim=d, descending=d == 1, stable=True)[0], dict(x=normal(5, 7, 9)),
         dim=dim, descending=dim == 1)
    case("cumsum.dim%d" % dim, lambda x, d=dim: torch.cumsum(x, d), dict(x=normal(5, 7, 9)), dim=dim)
    case("logsumexp.dim%d" % dim, lambda x, d=dim: torch.logsumexp(x, d), dict(x=normal(5, 7, 9)), dim=dim)
    case("var.dim%d" % dim, lambda x, d=dim: torch.var(x, d), dict(x=normal(5, 7, 9)), dim=dim)
    case("cosine_similarity.dim%d" % dim, lambda a, b, d=dim: F.cosine_similarity(a, b, d),
         dict(a=normal(5, 7, 9), b=normal(5, 7, 9)), dim=dim)
case("logsigmoid", F.logsigmoid, dict(x=torch.cat([torch.linspace(-30, 30, 61), normal(30)])))
case("bce_with_logits", lambda x, t: F.binary_cross_entropy_with_logits(x, t),
     dict(x=normal(7, 9, std=4), t=torch.rand(7, 9, generator=random)), ("t",))
case("mse", lambda x, t: F.mse_loss(x, t), dict(x=normal(7, 9), t=normal(7, 9)))

arrays = {k: np.ascontiguousarray(v.numpy()).reshape(tuple(v.shape)) for k, v in tensors.items()}
header = {"__metadata__": {k: v if isinstance(v, str) else json.dumps(v) for k, v in parameters.items()}}
parts, at = [], 0
for key in sorted(arrays, key=lambda k: (-arrays[k].itemsize, k)):  # 8-byte types first: every tensor is aligned
    data = arrays[key].tobytes()
    header[key] = {"dtype": DTYPES[arrays[key].dtype], "shape": list(arrays[key].shape), "data_offsets": [at, at + len(data)]}
    parts.append(data)
    at += len(data)
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(OUT, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
print("%s: %d cases, %d bytes" % (os.path.basename(OUT), len(parameters) - 1, 8 + len(text) + at))
