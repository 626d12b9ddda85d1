"""The published numbers that ours stand beside.

They are the paper's where its text or its figures' files give them, with the median over its test images; its models
were trained with other data, and most were measured on other images. What was read by eye says so.

References:
    Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715, and its repositories
    https://github.com/mcosarinsky/CheXmask-U and https://github.com/mcosarinsky/HybridGNet-uncertainty
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["COMPARISONS", "Comparison"]


@dataclass(frozen=True)
class Comparison:
    """One line of the report's first table.

    Attributes:
        key: of our number in the summary.
        quantity: what it is.
        published: the published number, or what is known of it; with skip connections where nothing else is said.
        source: where that is from.
        digits: after the point, for ours.
    """

    key: str
    quantity: str
    published: str = "none"
    source: str = ""
    digits: int = 2


NOISE: Final = "figure of Gaussian noise (vector file)"
OOD: Final = "paper, second-hand; foreign there are frontal radiographs with an RCA Dice below 0.7"
OCCLUDED: Final = "at most 2.5, median inside above upper quartile outside"
BOXES: Final = "box plot without a scale (vector file), occlusions pooled"

COMPARISONS: Final = (
    Comparison("clean.error", "Mean error of the nodes, clean, px"),
    Comparison("clean.predictive_median", "Predictive uncertainty, clean, px", "7.29; 17.09 without skip", NOISE),
    Comparison("clean.latent_median", "Latent uncertainty, clean", "0.934; 0.956 without skip", NOISE, 3),
    Comparison(
        "corruption.gaussian_noise.predictive_median_at_60",
        "Predictive, noise of 60 gray levels, px",
        "69.79; 28.41 without skip",
        NOISE,
    ),
    Comparison(
        "corruption.gaussian_noise.predictive_median_at_190",
        "Predictive, noise of 190 gray levels, px",
        "49.11; 32.12 without skip",
        NOISE,
    ),
    Comparison(
        "corruption.gaussian_noise.latent_median_at_190",
        "Latent, noise of 190 gray levels",
        "1.095; 0.974 without skip",
        NOISE,
        3,
    ),
    Comparison(
        "corruption.gaussian_noise.fall_percent_predictive",
        "Predictive: fall from its peak to the worst noise, %",
        "30 (peak at 60 gray levels); 0 without skip",
        NOISE,
        0,
    ),
    Comparison(
        "corruption.gaussian_noise.fall_percent_score", "Score: fall from its peak to the worst noise, %", digits=0
    ),
    Comparison(
        "corruption.least_spearman_score", "Score against error over the levels, least Spearman of all corruptions"
    ),
    Comparison("corruption.least_spearman_predictive", "Predictive, likewise", "not monotone under noise", NOISE),
    Comparison(
        "corruption.least_spearman_latent",
        "Latent, likewise",
        "does not react to blur",
        "notebook Uncertainty_plots, read by eye",
    ),
    Comparison(
        "corruption.occlusion.inside_outside.predictive",
        "Predictive inside over outside, one square of 301 px",
        OCCLUDED,
        BOXES,
    ),
    Comparison(
        "corruption.occlusion_4.inside_outside.predictive",
        "Predictive inside over outside, four squares of 201 px",
        OCCLUDED,
        BOXES,
    ),
    Comparison("corruption.occlusion.inside_outside.total", "Total inside over outside, one square of 301 px"),
    Comparison("corruption.occlusion_4.inside_outside.total", "Total inside over outside, four squares of 201 px"),
    Comparison("corruption.occlusion.inside_outside.total_normal", "Total across the contour, one square of 301 px"),
    Comparison(
        "corruption.occlusion_4.inside_outside.total_normal", "Total across the contour, four squares of 201 px"
    ),
    Comparison(
        "error.node.clean.pearson_predictive",
        "Node error against predictive, clean, Pearson",
        "0.58 and 0.59 (two annotators, who edited predictions)",
        "figure error_corr",
    ),
    Comparison("error.node.clean.pearson_total", "Node error against total, clean, Pearson"),
    Comparison("error.node.all.pearson_total", "Node error against total, all corruptions, Pearson"),
    Comparison(
        "error.node.without_geometry.pearson_total", "Node error against total, all corruptions but geometry, Pearson"
    ),
    Comparison("error.node.all.pearson_predictive", "Node error against predictive, all corruptions, Pearson"),
    Comparison("error.node.all.spearman_predictive", "Node error against predictive, all corruptions, Spearman"),
    Comparison("error.node.all.spearman_total", "Node error against total, all corruptions, Spearman"),
    Comparison(
        "error.image.clean_and_published_occlusions.pearson_predictive",
        "Image error against predictive, clean and occluded, Pearson",
        "0.56; 0.54 without skip",
        "notebook Uncertainty_plots",
    ),
    Comparison(
        "error.image.clean_and_published_occlusions.pearson_score",
        "Image error against score, clean and occluded, Pearson",
    ),
    Comparison(
        "error.image.clean_and_occluded.pearson_score",
        "Image error against score, clean and occluded by squares of any size, Pearson",
    ),
    Comparison("error.image.all.aurc_gain_score", "Risk-coverage of images by score, 0 random, 1 oracle"),
    Comparison("error.node.all.aurc_gain_total", "Risk-coverage of nodes by total, 0 random, 1 oracle"),
    Comparison("ood.all_foreign.auc_predictive", "Foreign images by predictive, area under ROC", "0.98", OOD),
    Comparison(
        "ood.all_foreign.auc_latent",
        "Foreign images by latent, area under ROC",
        "0.81; 0.89 without skip",
        "notebook of an earlier model",
    ),
    Comparison("ood.all_foreign.auc_total", "Foreign images by total, area under ROC"),
    Comparison("ood.all_foreign.auc_score_combined", "Foreign images by the combined score, area under ROC"),
    Comparison("ood.worst_kind.auc_score_combined", "Combined score, the kind of foreign image that is found worst"),
    Comparison(
        "ood.all_foreign.fpr95_score_combined", "Combined score: chest radiographs lost where 95 % of foreign are found"
    ),
    Comparison("calibration.coverage90.all", "Coverage of the 90 % radius, clean", digits=3),
    Comparison("calibration.refit_coverage90.all", "Coverage, each radiograph by the others' radii, clean", digits=3),
    Comparison("calibration.refit_coverage90.right_lung", "Likewise, right lung", digits=3),
    Comparison("calibration.refit_coverage90.left_lung", "Likewise, left lung", digits=3),
    Comparison("calibration.refit_coverage90.heart", "Likewise, heart", digits=3),
    Comparison(
        "calibration.refit_smaller_percent.all", "Radii smaller than one constant per organ, likewise, %", digits=0
    ),
    Comparison("calibration.miscalibration_area.predictive", "Miscalibration area of predictive, clean", digits=3),
    Comparison("calibration.miscalibration_area.total", "Miscalibration area of total, clean", digits=3),
)
