"""Object stores of the tests: the memory of this process, and a server of S3's protocol where one is installed."""

import contextlib
import secrets

import pytest


@contextlib.contextmanager
def ram():
    """Yields an address in the file system that TensorFlow keeps in memory."""
    yield f"ram://{secrets.token_hex(4)}"


@contextlib.contextmanager
def s3():
    """Yields an address in a bucket of moto's server, which keeps what it is given in memory."""
    reason = "pip install 'deeplab-ksac[storage]' 'moto[server]'"
    s3fs = pytest.importorskip("s3fs", reason=reason)
    server_of = pytest.importorskip("moto.server", reason=reason).ThreadedMotoServer
    server = server_of("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        from deeplab_ksac.storage.remote import files_of

        files_of.cache_clear()
        stack.callback(files_of.cache_clear)
        bucket = f"bucket-{secrets.token_hex(4)}"
        s3fs.S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}/below"


STORES = {"ram": ram, "s3": s3}
