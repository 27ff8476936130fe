"""What costs nothing in multiply-accumulates, by name, with the reason.

Only what is written here is free, with three rules that are safe inside torch's own operators: a view
moves no data, a pointwise operator or reduction sums no products. Operators of other packages are never
free by a rule. Fourier transforms, decompositions, inverses and solvers do multiply and accumulate, by
methods that shapes do not tell: they are neither here nor among the formulas, hence uncounted.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

#: Reason -> names of operators of aten, as `root_of` spells them: 'relu' stands for `relu_`, `relu_backward`,
#: `_foreach_relu`, `relu.out` and whatever else differs in an affix.
FREE: dict[str, str] = {
    "elementwise: a product that is added to nothing": """
        abs absolute acos acosh add add_relu addcdiv addcmul addr angle arccos arccosh arcsin arcsinh
        arctan arctan2 arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not
        bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min clip complex
        conj_physical copysign cos cosh deg2rad digamma div divide erf erfc erfinv exp exp2 expm1 fix
        float_power floor floor_divide fmax fmin fmod frac frexp gcd ger heaviside hypot i0 igamma igammac
        kron lcm ldexp lerp lgamma log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not
        logical_or logical_xor logit masked_scale maximum minimum mul multiply mvlgamma nan_to_num neg
        negative nextafter outer polar polygamma positive pow powsum rad2deg real imag reciprocal remainder
        round rsqrt rsub sgn sign signbit sin sinc sinh sqrt square standard_gamma sub subtract tan
        true_divide trunc where xlogy and or xor iand ior ixor lshift rshift ilshift irshift linalg_cross
        cross cosine_similarity linalg_vecdot""",
    "comparison and tests": """
        allclose eq equal ge greater greater_equal gt isclose isfinite isin isinf isnan isneginf isposinf
        isreal le less less_equal lt ne not_equal is_all_true is_any_true is_nonzero is_same_size is_set_to
        is_pinned is_coalesced is_complex is_floating_point is_signed is_contiguous""",
    "reduction: sums of what was there, without products": """
        all amax amin aminmax any argmax argmin count_nonzero cummax cummax_helper cummin cummin_helper
        cumprod cumsum diff dist frobenius_norm linalg_norm linalg_matrix_norm linalg_vector_norm
        logcumsumexp logsumexp max mean median min mode nanmean nanmedian nansum native_norm norm
        norm_except_dim nuclear_norm pairwise_distance pdist pdist_forward prod renorm segment_reduce std
        std_mean sum sum_to_size trace trapezoid var var_mean value_selecting_reduction
        cosine_embedding_loss""",
    "activation": """
        celu elu gelu infinitely_differentiable_gelu glu hardshrink hardsigmoid hardswish hardtanh
        leaky_relu log_sigmoid log_sigmoid_forward mish prelu prelu_kernel relu relu6 rrelu
        rrelu_with_noise selu sigmoid silu softplus softshrink tanh threshold""",
    "gates of a recurrent cell; its products arrive on their own": """
        thnn_fused_lstm_cell thnn_fused_gru_cell thnn_differentiable_lstm_cell
        thnn_differentiable_gru_cell""",
    "softmax": """
        log_softmax softmax safe_softmax masked_softmax sparse_softmax sparse_log_softmax special_softmax
        special_log_softmax nested_tensor_softmax_with_shape""",
    "normalisation": """
        batch_norm batch_norm_elemt batch_norm_gather_stats batch_norm_gather_stats_with_counts
        batch_norm_impl_index batch_norm_no_update batch_norm_backward_elemt batch_norm_backward_reduce
        batch_norm_stats batch_norm_update_stats batch_norm_with_update cudnn_batch_norm miopen_batch_norm
        native_batch_norm native_batch_norm_legit native_batch_norm_legit_no_training quantized_batch_norm
        group_norm native_group_norm instance_norm layer_norm native_layer_norm rms_norm fused_rms_norm
        weight_norm weight_norm_interface weight_norm_differentiable""",
    "bias and scale of a fused attention's input": "transform_bias_rescale_qkv",
    "pooling": """
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
        adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d fractional_max_pool2d fractional_max_pool3d
        max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d
        max_pool3d_with_indices max_unpool2d max_unpool3d mkldnn_adaptive_avg_pool2d mkldnn_max_pool2d
        mkldnn_max_pool3d quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d""",
    "embedding: rows are looked up, bags of them summed": """
        embedding embedding_bag embedding_bag_dense embedding_bag_forward_only embedding_bag_sparse
        embedding_bag_per_sample_weights embedding_dense embedding_sparse embedding_renorm one_hot""",
    "interpolation: a few fixed neighbours, weighted by where they are": """
        affine_grid_generator cudnn_affine_grid_generator cudnn_grid_sampler grid_sampler grid_sampler_2d
        grid_sampler_2d_cpu_fallback grid_sampler_3d upsample_bicubic2d upsample_bicubic2d_aa
        upsample_bilinear2d upsample_bilinear2d_aa upsample_lanczos2d_aa upsample_linear1d
        upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_nearest_exact1d
        upsample_nearest_exact2d upsample_nearest_exact3d upsample_trilinear3d""",
    "loss": """
        binary_cross_entropy binary_cross_entropy_with_logits cross_entropy_loss ctc_loss cudnn_ctc_loss
        miopen_ctc_loss use_cudnn_ctc_loss use_miopen_ctc_loss hinge_embedding_loss huber_loss kl_div
        l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss
        multilabel_margin_loss_forward nll_loss nll_loss2d nll_loss2d_forward nll_loss_forward nll_loss_nd
        poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss""",
    "creation": """
        arange bartlett_window blackman_window efficientzerotensor empty empty_affine_quantized empty_like
        empty_per_channel_affine_quantized empty_permuted empty_quantized empty_strided eye fft_fftfreq
        fft_rfftfreq fill fill_diagonal from_file full full_like hamming_window hann_window kaiser_window
        linspace logspace new_empty new_empty_strided new_full new_ones new_zeros
        new_zeros_with_same_feature_meta ones ones_like range scalar_tensor tril_indices triu_indices zero
        zeros zeros_like vander sparse_compressed_tensor sparse_compressed_tensor_unsafe
        sparse_compressed_tensor_with_dims sparse_coo_tensor sparse_coo_tensor_unsafe
        sparse_coo_tensor_with_dims sparse_coo_tensor_with_dims_and_tensors sparse_csr_tensor
        sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor sparse_csr_tensor_unsafe
        sparse_csc_tensor_unsafe sparse_bsr_tensor_unsafe sparse_bsc_tensor_unsafe spdiags
        nested_tensor_from_mask nested_tensor_from_mask_left_aligned nested_tensor_from_tensor_list
        make_dep_token""",
    "random numbers and dropout": """
        alpha_dropout bernoulli binomial cauchy cudnn_init_dropout_state dirichlet_grad dropout exponential
        feature_alpha_dropout feature_dropout fill_mem_eff_dropout_mask fused_dropout geometric log_normal
        multinomial native_dropout normal philox_key_fold_in philox_key_split philox_normal philox_uniform
        poisson rand rand_like randint randint_like randn randn_like random randperm sample_dirichlet
        sobol_engine_draw sobol_engine_ff sobol_engine_initialize_state sobol_engine_scramble
        standard_gamma_grad uniform""",
    "movement of data: copies, joins, splits, casts, layouts": """
        alias as_strided as_strided_scatter atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors
        cartesian_prod cast_byte cast_char cast_double cast_float cast_half cast_int cast_long cast_short
        cat channel_shuffle chunk chunk_cat clone coalesce coalesced col2im column_stack combinations
        concat concatenate conj constant_pad_nd contiguous convert_indices_from_coo_to_csr
        convert_indices_from_csr_to_coo copy copy_from copy_from_and_resize copy_sparse_to_sparse data
        dense_dim detach diag diag_embed diagflat diagonal diagonal_scatter dstack expand
        flatten_dense_tensors flip fliplr flipud fw_primal hstack im2col indices ccol_indices col_indices
        crow_indices row_indices jagged_to_padded_dense_forward lazy_clone lift lift_fresh
        local_scalar_dense item make_dual mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight
        mkldnn_reshape mkldnn_transpose narrow native_channel_shuffle neg_view nested_from_padded
        nested_from_padded_and_nested_example nested_from_padded_tensor nested_get_values nested_select
        nested_sum nested_tensor_size nested_tensor_storage_offsets nested_tensor_strides
        nested_to_padded_tensor nested_view_from_buffer nested_view_from_jagged nested_get_jagged_dummy
        nested_get_lengths nested_get_max_seqlen nested_get_min_seqlen nested_get_offsets
        nested_get_ragged_idx nested_compute_contiguous_strides_offsets nnz dimi dimv numel
        pack_padded_sequence pad pad_circular pad_enum pad_packed_sequence pad_sequence
        padded_dense_to_jagged_forward permute pin_memory pixel_shuffle pixel_unshuffle propagate_xla_data
        record_stream reflection_pad1d reflection_pad2d reflection_pad3d repeat replication_pad1d
        replication_pad2d replication_pad3d reshape reshape_alias reshape_from_tensor resize resize_as
        resize_as_sparse resize_output resolve_conj resolve_neg roll rot90 row_stack select select_scatter
        set set_data slice slice_scatter sparse_broadcast_to sparse_dim sparse_mask sparse_mask_projection
        sparse_resize sparse_resize_and_clear split split_with_sizes squeeze stack sym_numel sym_size
        sym_storage_offset sym_stride t tile to to_cpu to_dense to_mkldnn to_padded_tensor to_sparse
        to_sparse_bsc to_sparse_bsr to_sparse_csc to_sparse_csr to_sparse_semi_structured
        sparse_semi_structured_apply sparse_semi_structured_apply_dense sparse_semi_structured_tile
        cslt_compress transpose type_as unbind unflatten_dense_tensors unfold unsafe_chunk unsafe_split
        unsafe_split_with_sizes unsafe_view unsqueeze values view view_as_complex view_as_real vstack
        convert_weight_to_int4pack convert_weight_to_int4pack_for_cpu cudnn_rnn_flatten_weight
        dyn_quant_pack_4bit_weight""",
    "indexing, masking and sorting": """
        argsort argwhere bincount bucketize gather hash_tensor histc histogram histogramdd
        histogramdd_bin_edges histogramdd_from_bin_cts histogramdd_from_bin_tensors index index_add
        index_fill index_put index_put_impl index_reduce index_select kthvalue masked_fill masked_scatter
        masked_select meshgrid msort nonzero nonzero_numpy nonzero_static put quantile nanquantile
        repeat_interleave scatter scatter_add scatter_reduce searchsorted sort take take_along_dim topk
        tril triu unique unique2 unique_consecutive unique_dim unique_dim_consecutive unsafe_index
        unsafe_index_put unsafe_masked_index unsafe_masked_index_put_accumulate""",
    "sums and norms of sparse tensors": "sparse_csr_prod sparse_csr_sum sparse_sum",
    "quantising: rounding to a grid and back": """
        choose_qparams_per_tensor choose_qparams_optimized dequantize
        fake_quantize_learnable_per_channel_affine fake_quantize_learnable_per_tensor_affine
        fake_quantize_per_channel_affine fake_quantize_per_channel_affine_cachemask
        fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine_cachemask
        fake_quantize_per_tensor_affine_cachemask_tensor_qparams fused_moving_avg_obs_fake_quant
        fused_moving_avg_obs_fq_helper int_repr make_per_channel_quantized_tensor
        make_per_tensor_quantized_tensor q_per_channel_axis q_per_channel_scales q_per_channel_zero_points
        q_scale q_zero_point qscheme quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic
        wrapped_linear_prepack""",
    "optimiser: elementwise on the weights": """
        fused_adagrad fused_adam fused_adamw fused_sgd amp_foreach_non_finite_check_and_unscale
        amp_update_scale""",
    "bookkeeping": """
        dim get_device size storage_offset stride assert_async assert_scalar assert_tensor_metadata
        add_batch_dim remove_batch_dim fused_sdp_choice has_same_storage_numel linalg_check_errors print
        sym_constrain_range sym_constrain_range_for_size requires_grad retain_grad result_type
        promote_types version validate_compressed_sparse_indices validate_sparse_coo_tensor_args
        validate_sparse_csr_tensor_args validate_sparse_csc_tensor_args validate_sparse_bsr_tensor_args
        validate_sparse_bsc_tensor_args validate_sparse_compressed_tensor_args functional_assert_async
        functional_assert_scalar functional_sym_constrain_range functional_sym_constrain_range_for_size""",
}


def _quantised(names: str) -> str:
    return " ".join(f"quantized::{name}" for name in names.split())


#: Operators outside aten, in full, with the reason.
FREE_ELSEWHERE: dict[str, str] = {
    "comparison of boxes": "torchvision::nms",
    "pooling of regions, by interpolation or maximum": " ".join(
        f"torchvision::{prefix}{name}{suffix}"
        for name in ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool")
        for prefix, suffix in (("", ""), ("_", "_backward"))
    ),
    "quantised tensors: elementwise, pooling, normalisation, joins": _quantised("""
        add add_relu add_out add_relu_out add_scalar add_scalar_relu add_scalar_out add_scalar_relu_out mul
        mul_relu mul_out mul_relu_out mul_scalar mul_scalar_relu mul_scalar_out mul_scalar_relu_out cat
        cat_relu cat_out cat_relu_out relu6 sigmoid softmax celu elu leaky_relu hardswish clamp threshold
        prelu dropout max_pool1d max_pool2d batch_norm batch_norm_relu batch_norm1d batch_norm1d_relu
        batch_norm2d batch_norm2d_relu batch_norm3d batch_norm3d_relu group_norm instance_norm layer_norm
        embedding_byte embedding_4bit embedding_bag_byte embedding_bag_4bit embedding_bag_2bit
        embedding_bag_byte_rowwise_offsets embedding_bag_4bit_rowwise_offsets
        embedding_bag_2bit_rowwise_offsets conv1d_prepack conv2d_prepack conv3d_prepack conv_prepack
        conv_transpose1d_prepack conv_transpose2d_prepack conv_transpose3d_prepack linear_prepack
        linear_prepack_fp16 linear_unpack conv1d_unpack conv2d_unpack conv3d_unpack linear_unpack_fp16
        make_quantized_cell_params make_quantized_cell_params_dynamic make_quantized_cell_params_fp16"""),
    "quantising: rounding to a grid and back": " ".join(
        f"quantized_decomposed::{direction}_{what}"
        for direction in ("quantize", "dequantize")
        for what in ("per_tensor", "per_channel", "per_token", "per_channel_group")
    )
    + " quantized_decomposed::choose_qparams quantized_decomposed::fake_quant_per_channel",
    "movement of weights into a backend's layout": """
        mkldnn::_reorder_convolution_weight mkldnn::_reorder_convolution_transpose_weight
        mkldnn::_reorder_linear_weight mkldnn::_reorder_mkldnn_rnn_layer_weight
        mkl::_mkl_reorder_linear_weight onednn::qconv_prepack onednn::qlinear_prepack
        onednn::linear_prepack_fp16""",
    "what prims call by another name than aten": """
        prims::broadcast_in_dim prims::cbrt prims::collapse prims::collapse_view
        prims::convert_element_type prims::copy_strided prims::copy_to prims::device_put prims::iota
        prims::rev prims::shift_left prims::shift_right_arithmetic prims::split_dim prims::view_of
        prims::view_of_dtype prims::xor_sum""",
    "elementwise of oneDNN": """
        onednn::qadd onednn::qadd_relu onednn::qmul onednn::qbatch_norm2d onednn::qbatch_norm2d_relu""",
}

#: Namespaces that hold nothing but facts about tensors, messages between devices and profiling.
FREE_NAMESPACES = frozenset({"prim", "profiler", "c10d", "_c10d_functional", "_c10d_functional_autograd"})

_free_in_aten = frozenset(name for names in FREE.values() for name in names.split())
_free_elsewhere = frozenset(name for names in FREE_ELSEWHERE.values() for name in names.split())

_SUFFIX = re.compile(r"(_backward_data|_backward_impl|_double_backward|_backward|_functional|_copy|_jvp)+$")


def root_of(name: str) -> str:
    """'_foreach_mul_', 'mul' and 'mul_backward' are 'mul': affixes change nothing about sums of products."""
    plain = name.strip("_").lower().removeprefix("foreach_")
    return plain if plain in _free_in_aten else _SUFFIX.sub("", plain)


@cache
def is_free(func: Any, name: str) -> bool:
    """Whether the operator costs nothing: it is written here, or a rule of this page covers it.

    `name` is qualified, 'aten::relu' or 'aten::add.Tensor'; `func` is asked for its tags only.
    """
    qualified = name.partition(".")[0]
    namespace, _, operator = qualified.partition("::")
    if namespace in FREE_NAMESPACES or qualified in _free_elsewhere:
        return True
    if namespace not in ("aten", "prims"):
        return False
    return (
        root_of(operator) in _free_in_aten
        or operator.startswith("special_")  # functions of one number: erf, gamma, Bessel, ...
        or getattr(func, "is_view", False)
        or any(tag.name in ("pointwise", "reduction", "inplace_view") for tag in getattr(func, "tags", ()))
    )
