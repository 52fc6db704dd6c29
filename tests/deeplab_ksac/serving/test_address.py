"""What a URL of a served model means."""

import pytest

from deeplab_ksac.serving.address import Address


@pytest.mark.parametrize(
    ("url", "expected", "path"),
    [
        ("http://host/v1/models/a", Address("http", "host", 8501, "a"), "/v1/models/a"),
        ("http://host:80/v1/models/a/", Address("http", "host", 80, "a"), "/v1/models/a"),
        ("https://host/v1/models/a:predict", Address("https", "host", 443, "a"), "/v1/models/a"),
        ("http://[::1]:9/v1/models/a", Address("http", "::1", 9, "a"), "/v1/models/a"),
        ("grpc://host/a", Address("grpc", "host", 8500, "a"), "/v1/models/a"),
        ("http://h/v1/models/a/versions/12", Address("http", "h", 8501, "a", 12), "/v1/models/a/versions/12"),
        ("grpc://h:1/v1/models/a/labels/b", Address("grpc", "h", 1, "a", None, "b"), "/v1/models/a/labels/b"),
        ("http://h/v1/models/a%20b", Address("http", "h", 8501, "a b"), "/v1/models/a%20b"),
    ],
)
def test_a_url_is_a_model_of_a_server(url, expected, path):
    assert Address.parse(url) == expected and Address.parse(url).path == path
    assert Address.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "url",
    ("", "host:8501", "host/v1/models/a", "http://host", "grpc://host:8500", "http:///v1/models/a", "ftp://h/v1/models/a",
     "http://h:99999/v1/models/a", "http://h/v1/models/a/versions/x", "http://h/v2/models/a/b", "http://[::1/v1/models/a",
     "http://me:secret@h/v1/models/a", "http://h/v1/models/a?x=1"),
)  # fmt: skip
def test_another_url_is_refused_with_an_example(url):
    with pytest.raises(ValueError, match=r"^url .* no address .*; expected http://host:8501/v1/models/NAME") as raised:
        Address.parse(url)
    assert "\n" not in str(raised.value)
