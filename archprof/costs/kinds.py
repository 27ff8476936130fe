"""What people call an operator: 'conv 3x3', 'batch norm', 'fully connected'. Shapes decide, never class names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..results.profile import Shape

if TYPE_CHECKING:
    from ..counting.shapes import Op

#: Operators that only rename or hand on memory: no row of a layer table.
_NOT_LAYERS = frozenset(
    """
    view _unsafe_view reshape _reshape_alias t transpose permute expand squeeze unsqueeze slice select split
    split_with_sizes chunk unbind detach alias as_strided empty empty_like empty_strided lift_fresh unfold
    diagonal view_as_real view_as_complex resize_ numel sym_size set_ new_empty new_empty_strided
    _local_scalar_dense
""".split()
)

_NAMED = {
    "batch norm": """native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm
        _batch_norm_with_update native_batch_norm_backward batch_norm_backward cudnn_batch_norm_backward""",
    "layer norm": "native_layer_norm _fused_rms_norm rms_norm native_layer_norm_backward",
    "group norm": "native_group_norm native_group_norm_backward",
    "activation": """relu threshold hardtanh relu6 sigmoid silu gelu leaky_relu elu selu celu mish tanh hardswish
        hardsigmoid softplus log_sigmoid_forward prelu _prelu_kernel rrelu_with_noise threshold_backward
        hardtanh_backward sigmoid_backward silu_backward gelu_backward leaky_relu_backward elu_backward tanh_backward
        hardswish_backward hardsigmoid_backward mish_backward glu""",
    "pooling": """max_pool2d_with_indices max_pool3d_with_indices max_pool1d avg_pool1d avg_pool2d avg_pool3d
        _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool2d adaptive_max_pool3d mean
        avg_pool2d_backward max_pool2d_with_indices_backward _adaptive_avg_pool2d_backward""",
    "softmax": "_softmax _log_softmax _safe_softmax _softmax_backward_data _log_softmax_backward_data",
    "embedding": "embedding embedding_bag _embedding_bag embedding_dense_backward",
    "dropout": "native_dropout bernoulli dropout",
    "concatenation": "cat stack",
    "addition": "add",
    "interpolation": """upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_bilinear2d upsample_bicubic2d
        upsample_trilinear3d upsample_linear1d _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler_2d""",
    "recurrent": "lstm gru rnn_tanh rnn_relu mkldnn_rnn_layer _cudnn_rnn _thnn_fused_lstm_cell _thnn_fused_gru_cell",
    "attention": """_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        _scaled_dot_product_fused_attention_overrideable _flash_attention_forward _efficient_attention_forward
        _native_multi_head_attention _transformer_encoder_layer_fwd flex_attention""",
    "copy": "clone copy _to_copy contiguous copy_",
    "loss": "nll_loss_forward nll_loss2d_forward binary_cross_entropy mse_loss",
}

_TYPE_OF = {name: kind for kind, names in _NAMED.items() for name in names.split()}

_PRODUCTS = frozenset(
    """
    mm addmm bmm baddbmm addbmm mv addmv dot vdot linear matmul _addmm_activation _scaled_mm _int_mm
""".split()
)

MATRIX_PRODUCT = "matrix product"
FULLY_CONNECTED = "fully connected"
UNUSED = "not used in this pass"


def is_layer(op: Op) -> bool:
    """Whether the call has a row of its own in a layer table."""
    return op.name.rpartition(".")[2] not in _NOT_LAYERS


def layer_type(op: Op) -> tuple[str, Shape, Shape]:
    """The layer type, and kernel and stride where it has them.

    A matrix product that reads a learned weight is 'fully connected': only the caller knows which is which.
    """
    namespace, _, name = op.name.rpartition(".")
    if namespace not in ("aten", "torchvision", "prims"):
        return op.name, (), ()
    if "convolution" in name or name == "deform_conv2d":
        return _convolution(op)
    if name in _PRODUCTS:
        return MATRIX_PRODUCT, (), ()
    kind = _TYPE_OF.get(name) or _TYPE_OF.get(name.removesuffix("_")) or "elementwise"
    kernel = (
        tuple(op.args[1])
        if "_pool" in name
        and "adaptive" not in name
        and len(op.args) > 1
        and isinstance(op.args[1], list | tuple)
        and "backward" not in name
        else ()
    )
    stride = tuple(op.args[2]) if kernel and len(op.args) > 2 and isinstance(op.args[2], list | tuple) else ()
    return kind, kernel, stride or kernel


def _convolution(op: Op) -> tuple[str, Shape, Shape]:
    backward = "backward" in op.name
    tensors = [arg for arg in op.args if isinstance(arg, tuple) and hasattr(arg, "dtype")]
    weight = tensors[2 if backward else 1]
    kernel = tuple(weight[2:])
    shown = "x".join(map(str, kernel))
    flags = [arg for arg in op.args if isinstance(arg, bool)]
    stride = _stride(op, len(kernel))
    if flags and flags[0]:
        return f"transposed conv {shown}", kernel, stride
    groups = next((arg for arg in reversed(op.args) if type(arg) is int), 1)
    inputs = tensors[1 if backward else 0]
    channels = inputs[-len(kernel) - 1]
    if groups > 1:
        return f"{'depthwise' if groups == channels else 'grouped'} conv {shown}", kernel, stride
    return f"conv {shown}", kernel, stride


def _stride(op: Op, spatial: int) -> Shape:
    lists: list[Any] = [arg for arg in op.args if isinstance(arg, list)]
    # convolution_backward carries the bias sizes as a list ahead of the stride
    lists = lists[1:] if "backward" in op.name and len(lists) > 4 else lists
    stride = tuple(lists[0]) if lists else ()
    return stride * spatial if len(stride) == 1 and spatial > 1 else stride
