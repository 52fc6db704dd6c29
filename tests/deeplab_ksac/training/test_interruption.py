"""Requests to stop: noted, followed, and the signals given back."""

import os
import signal

import pytest
import tensorflow as tf

from deeplab_ksac.training.interruption import RestartError, StopRequest, agreement
from tests.replicas import two_replicas


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noted_while_a_request_is_entered(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.agreed()
        stop.update(1)
        os.kill(os.getpid(), number)
        assert stop.agreed() and stop.noted == number.name
        with pytest.raises(RestartError, match=f"{number.name} came"):
            stop.update(1, shown=2)
    assert signal.getsignal(number) == before


def test_several_workers_stop_where_one_was_asked():
    agree = agreement(two_replicas(), workers=2)
    assert agree(True) and not agree(False)
    with StopRequest(agree) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        stop.update(1)  # another worker may be in the same work, and would wait for this one
        assert stop.agreed()
    assert agreement(tf.distribute.get_strategy(), workers=1) is None
