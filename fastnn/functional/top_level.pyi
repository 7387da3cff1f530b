# What tests/test_generated.py makes of the tables in fastnn/functional/names.py, for type checkers.
from typing import Any

from fastnn.functional.methods import Size as Size
from . import abs as abs
def abs_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import abs as absolute
def absolute_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import acos as acos
def acos_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import acosh as acosh
def acosh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import adaptive_avg_pool1d as adaptive_avg_pool1d
from . import adaptive_max_pool1d as adaptive_max_pool1d
from . import add as add
def add_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import addbmm as addbmm
def addbmm_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import addcdiv as addcdiv
def addcdiv_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import addcmul as addcmul
def addcmul_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import addmm as addmm
def addmm_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import addmv as addmv
def addmv_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import addr as addr
def addr_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import all as all
from fastnn.functional.methods import allclose as allclose
from . import alpha_dropout as alpha_dropout
from . import amax as amax
from . import amin as amin
from . import aminmax as aminmax
from . import any as any
from . import acos as arccos
def arccos_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import acosh as arccosh
def arccosh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import asin as arcsin
def arcsin_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import asinh as arcsinh
def arcsinh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import atan as arctan
from . import atan2 as arctan2
def arctan2_(input: Any, *args: Any, **options: Any) -> Any: ...
def arctan_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import atanh as arctanh
def arctanh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import argmax as argmax
from . import argmin as argmin
from . import argsort as argsort
from . import argwhere as argwhere
from . import asin as asin
def asin_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import asinh as asinh
def asinh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import atan as atan
from . import atan2 as atan2
def atan2_(input: Any, *args: Any, **options: Any) -> Any: ...
def atan_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import atanh as atanh
def atanh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import atleast_1d as atleast_1d
from . import atleast_2d as atleast_2d
from . import atleast_3d as atleast_3d
from . import avg_pool1d as avg_pool1d
from . import baddbmm as baddbmm
def baddbmm_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import batch_norm as batch_norm
from . import bilinear as bilinear
from . import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from . import bincount as bincount
from . import bitwise_and as bitwise_and
def bitwise_and_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import bitwise_left_shift as bitwise_left_shift
from . import bitwise_not as bitwise_not
def bitwise_not_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import bitwise_or as bitwise_or
def bitwise_or_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import bitwise_right_shift as bitwise_right_shift
from . import bitwise_xor as bitwise_xor
def bitwise_xor_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import block_diag as block_diag
from . import bmm as bmm
from . import broadcast_tensors as broadcast_tensors
from . import broadcast_to as broadcast_to
from . import bucketize as bucketize
from . import cartesian_prod as cartesian_prod
from . import cat as cat
from . import cdist as cdist
from . import ceil as ceil
def ceil_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import celu as celu
from . import chain_matmul as chain_matmul
from . import channel_shuffle as channel_shuffle
from . import chunk as chunk
from . import clamp as clamp
def clamp_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import clamp_max as clamp_max
def clamp_max_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import clamp_min as clamp_min
def clamp_min_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import clip as clip
def clip_(input: Any, *args: Any, **options: Any) -> Any: ...
from fastnn.functional.conversion import clone as clone
from . import column_stack as column_stack
from . import combinations as combinations
from . import cat as concat
from . import cat as concatenate
from . import conv1d as conv1d
from . import conv2d as conv2d
from . import conv3d as conv3d
from . import conv_transpose1d as conv_transpose1d
from . import conv_transpose2d as conv_transpose2d
from . import conv_transpose3d as conv_transpose3d
from . import copysign as copysign
def copysign_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import corrcoef as corrcoef
from . import cos as cos
def cos_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import cosh as cosh
def cosh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import cosine_embedding_loss as cosine_embedding_loss
from . import cosine_similarity as cosine_similarity
from . import count_nonzero as count_nonzero
from . import cov as cov
from . import cross as cross
from . import ctc_loss as ctc_loss
from . import cummax as cummax
from . import cummin as cummin
from . import cumprod as cumprod
def cumprod_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import cumsum as cumsum
def cumsum_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import cumulative_trapezoid as cumulative_trapezoid
from . import deg2rad as deg2rad
def deg2rad_(input: Any, *args: Any, **options: Any) -> Any: ...
from fastnn.functional.methods import detach as detach
def detach_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import diag as diag
from . import diag_embed as diag_embed
from . import diagflat as diagflat
from . import diagonal as diagonal
from . import diff as diff
from . import digamma as digamma
def digamma_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import dist as dist
from . import div as div
def div_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import div as divide
def divide_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import dot as dot
from . import dropout as dropout
from . import dsplit as dsplit
from . import dstack as dstack
from . import einsum as einsum
from . import embedding as embedding
from . import eq as eq
def eq_(input: Any, *args: Any, **options: Any) -> Any: ...
from fastnn.functional.methods import equal as equal
from . import erf as erf
def erf_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import erfc as erfc
def erfc_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import erfinv as erfinv
def erfinv_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import exp as exp
from . import exp2 as exp2
def exp2_(input: Any, *args: Any, **options: Any) -> Any: ...
def exp_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import expm1 as expm1
def expm1_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import feature_alpha_dropout as feature_alpha_dropout
from . import trunc as fix
def fix_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import flatten as flatten
from . import flip as flip
from . import fliplr as fliplr
from . import flipud as flipud
from . import float_power as float_power
def float_power_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import floor as floor
def floor_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import floor_divide as floor_divide
def floor_divide_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import fmax as fmax
from . import fmin as fmin
from . import fmod as fmod
def fmod_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import frac as frac
def frac_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import gather as gather
from . import ge as ge
def ge_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import outer as ger
from . import gt as greater
def greater_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import ge as greater_equal
def greater_equal_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import group_norm as group_norm
from . import gt as gt
def gt_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import hardshrink as hardshrink
from . import heaviside as heaviside
def heaviside_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import hinge_embedding_loss as hinge_embedding_loss
from . import histc as histc
from . import hsplit as hsplit
from . import hstack as hstack
from . import hypot as hypot
def hypot_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import index_add as index_add
def index_add_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import index_copy as index_copy
def index_copy_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import index_fill as index_fill
def index_fill_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import index_put as index_put
def index_put_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import index_reduce as index_reduce
def index_reduce_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import index_select as index_select
from . import inner as inner
from . import instance_norm as instance_norm
from fastnn.functional.methods import is_complex as is_complex
from fastnn.functional.methods import is_floating_point as is_floating_point
from fastnn.functional.methods import is_nonzero as is_nonzero
from fastnn.functional.methods import is_same_size as is_same_size
from fastnn.functional.methods import is_tensor as is_tensor
from fastnn.functional.methods import isclose as isclose
from . import isfinite as isfinite
from . import isin as isin
from . import isinf as isinf
from . import isnan as isnan
from . import isneginf as isneginf
from . import isposinf as isposinf
from . import isreal as isreal
from . import kl_div as kl_div
from . import kron as kron
from . import kthvalue as kthvalue
from . import layer_norm as layer_norm
from . import ldexp as ldexp
def ldexp_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import le as le
def le_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import lerp as lerp
def lerp_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import lt as less
def less_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import le as less_equal
def less_equal_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import lgamma as lgamma
def lgamma_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import log as log
from . import log10 as log10
def log10_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import log1p as log1p
def log1p_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import log2 as log2
def log2_(input: Any, *args: Any, **options: Any) -> Any: ...
def log_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import log_softmax as log_softmax
from . import logaddexp as logaddexp
from . import logaddexp2 as logaddexp2
from . import logcumsumexp as logcumsumexp
from . import logical_and as logical_and
def logical_and_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import logical_not as logical_not
def logical_not_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import logical_or as logical_or
def logical_or_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import logical_xor as logical_xor
def logical_xor_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import logit as logit
def logit_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import logsumexp as logsumexp
from . import lt as lt
def lt_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import margin_ranking_loss as margin_ranking_loss
from . import masked_fill as masked_fill
def masked_fill_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import masked_scatter as masked_scatter
def masked_scatter_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import masked_select as masked_select
from . import matmul as matmul
from . import max as max
from . import max_pool1d as max_pool1d
from . import max_pool2d as max_pool2d
from . import max_pool3d as max_pool3d
from . import maximum as maximum
from . import mean as mean
from . import median as median
from . import meshgrid as meshgrid
from . import min as min
from . import minimum as minimum
from . import mm as mm
from . import mode as mode
from . import moveaxis as moveaxis
from . import moveaxis as movedim
from . import msort as msort
from . import mul as mul
def mul_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import mul as multiply
def multiply_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import mv as mv
from . import nan_to_num as nan_to_num
def nan_to_num_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import nanmean as nanmean
from . import nanmedian as nanmedian
from . import nanquantile as nanquantile
from . import nansum as nansum
from . import narrow as narrow
from . import ne as ne
def ne_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import neg as neg
def neg_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import neg as negative
def negative_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import nonzero as nonzero
from . import norm as norm
from . import ne as not_equal
def not_equal_(input: Any, *args: Any, **options: Any) -> Any: ...
from fastnn.functional.methods import numel as numel
from . import outer as outer
from . import pairwise_distance as pairwise_distance
from . import pdist as pdist
from . import permute as permute
from . import pixel_shuffle as pixel_shuffle
from . import pixel_unshuffle as pixel_unshuffle
from . import poisson_nll_loss as poisson_nll_loss
from . import positive as positive
from . import pow as pow
def pow_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import prelu as prelu
from . import prod as prod
from . import quantile as quantile
from . import rad2deg as rad2deg
def rad2deg_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import flatten as ravel
from . import reciprocal as reciprocal
def reciprocal_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import relu as relu
def relu_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import remainder as remainder
def remainder_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import renorm as renorm
def renorm_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import repeat_interleave as repeat_interleave
from . import reshape as reshape
from . import rms_norm as rms_norm
from . import roll as roll
from . import rot90 as rot90
from . import round as round
def round_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import vstack as row_stack
from . import rrelu as rrelu
from . import rsqrt as rsqrt
def rsqrt_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import rsub as rsub
from . import scatter as scatter
def scatter_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import scatter_add as scatter_add
def scatter_add_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import scatter_reduce as scatter_reduce
def scatter_reduce_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import searchsorted as searchsorted
from . import select as select
from . import selu as selu
from . import sgn as sgn
def sgn_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import sigmoid as sigmoid
def sigmoid_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import sign as sign
def sign_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import signbit as signbit
from . import sin as sin
def sin_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import sinc as sinc
def sinc_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import sinh as sinh
def sinh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import softmax as softmax
from . import sort as sort
from . import split as split
from . import sqrt as sqrt
def sqrt_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import square as square
def square_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import squeeze as squeeze
def squeeze_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import stack as stack
from . import std as std
from . import std_mean as std_mean
from . import sub as sub
def sub_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import sub as subtract
def subtract_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import sum as sum
from . import swapaxes as swapaxes
def swapaxes_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import swapdims as swapdims
def swapdims_(input: Any, *args: Any, **options: Any) -> Any: ...
from fastnn.functional.methods import t as t
def t_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import take as take
from . import take_along_dim as take_along_dim
from . import tan as tan
def tan_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import tanh as tanh
def tanh_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import tensor_split as tensor_split
from . import tensordot as tensordot
from . import threshold as threshold
from . import tile as tile
from . import topk as topk
from . import trace as trace
from . import transpose as transpose
def transpose_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import trapezoid as trapezoid
from . import tril as tril
def tril_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import tril_indices as tril_indices
from . import triplet_margin_loss as triplet_margin_loss
from . import triu as triu
def triu_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import triu_indices as triu_indices
from . import div as true_divide
def true_divide_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import trunc as trunc
def trunc_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import unbind as unbind
from . import unflatten as unflatten
from . import unique as unique
from . import unique_consecutive as unique_consecutive
from . import unravel_index as unravel_index
from . import unsqueeze as unsqueeze
def unsqueeze_(input: Any, *args: Any, **options: Any) -> Any: ...
from . import var as var
from . import var_mean as var_mean
from . import vdot as vdot
from . import vsplit as vsplit
from . import vstack as vstack
from fastnn.functional.methods import where_top as where
from . import xlogy as xlogy
def xlogy_(input: Any, *args: Any, **options: Any) -> Any: ...
