"""The set-ups by name, as the command line has them."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.distribution import Distribution, DistributionS3
from benchmarks.mirrors import DistributionMirror, Mirror
from benchmarks.nginxes import Front, Nginx, S3Front, S3RedirectFront, SplitFront, SplitFrontPrivate
from benchmarks.ours import S3, S3Direct, S3Redirect, Split, Standalone, StandaloneV2
from benchmarks.set_up import SetUp

SET_UPS: Mapping[str, type[SetUp]] = {
    "standalone": Standalone,
    "standalone-v2": StandaloneV2,
    "split": Split,
    "split-front": SplitFront,
    "split-front-private": SplitFrontPrivate,
    "front": Front,
    "nginx": Nginx,
    "distribution": Distribution,
    "s3": S3,
    "s3-redirect": S3Redirect,
    "s3-redirect-front": S3RedirectFront,
    "s3-front": S3Front,
    "s3-direct": S3Direct,
    "distribution-s3": DistributionS3,
    "mirror": Mirror,
    "distribution-mirror": DistributionMirror,
}
