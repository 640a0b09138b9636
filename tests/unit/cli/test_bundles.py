"""How flags name several bundles."""

import pytest

from diffusiontalker.cli.bundles import named_bundles
from diffusiontalker.cli.verb import UsageError


def test_names_are_given_or_those_of_folders():
    given = ("runs/demo/bundle", "student=runs/small/bundle", "runs/best", "s3://bucket/rate=0.1/bundle", "a=b=c")
    assert named_bundles(given) == {
        "demo": "runs/demo/bundle",
        "student": "runs/small/bundle",
        "best": "runs/best",
        "rate=0.1": "s3://bucket/rate=0.1/bundle",
        "a": "b=c",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("runs/a/bundle", "a=runs/b"), "--bundle a=runs/b: 'a' is given twice; write --bundle OTHERNAME=runs/b"),
        (("runs/a", "runs/a/"), "--bundle runs/a/: 'a' is given twice; write --bundle OTHERNAME=runs/a/"),
        ((), "--bundle is missing"),
    ],
)
def test_a_name_stands_for_one_bundle(given, message):
    with pytest.raises(UsageError, match=message):
        named_bundles(given)
