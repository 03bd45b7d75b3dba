"""Metrics: numpy arrays in, one number out, arguments `(prediction, target)`."""

from saliency.metrics.aesthetics import (
    AVA_CUT,
    binary_accuracy,
    emd,
    mean_score,
    plcc,
    score_std,
    srcc,
)
from saliency.metrics.bootstrap import Interval, bootstrap_interval
from saliency.metrics.center_bias import CenterBias
from saliency.metrics.pooling import pool_fixations, rescale_fixations
from saliency.metrics.saliency import (
    KL_EPS,
    auc,
    auc_shuffled,
    cc,
    information_gain,
    kl_div,
    nss,
    sim,
)
from saliency.metrics.stated_errors import error_rank, share_within

__all__ = [
    "AVA_CUT",
    "KL_EPS",
    "CenterBias",
    "Interval",
    "auc",
    "auc_shuffled",
    "binary_accuracy",
    "bootstrap_interval",
    "cc",
    "emd",
    "error_rank",
    "information_gain",
    "kl_div",
    "mean_score",
    "nss",
    "plcc",
    "pool_fixations",
    "rescale_fixations",
    "score_std",
    "share_within",
    "sim",
    "srcc",
]
