"""The table of all networks in all formats: that it misses none, and says what works and why something does not."""

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.export import every_format
from deeplab_ksac.export.format_table import summary, table
from deeplab_ksac.heads import HEADS

WORKS = {"difference": 1e-6, "allowed": 4e-6}
RECORD = {
    "parameters": 12345,
    "versions": "tensorflow 2; ONNX opset 17",
    "formats": {
        "saved_model": {"bytes": 2_500_000, "sizes": "any", "refused": None, "saved_model": WORKS},
        "onnx": {"bytes": 1_000_000, "sizes": "any", "refused": None, "onnx": {"error": "it differs by 3"}},
        "tflite": {"bytes": 900_000, "sizes": "one", "refused": "no Loop", "tflite": WORKS, "litert": WORKS},
    },
}


def test_no_backbone_and_no_head_is_left_out():
    tried = set(every_format.networks())
    assert {f"backbone/{every_format.architecture_of(name)}" for name in BACKBONES} | {
        f"head/{n}" for n in HEADS
    } == tried
    assert set(every_format.HEAD_ARGUMENTS) == set(HEADS)
    assert set(every_format.whole_networks()) == {f"whole/{name}" for name in BACKBONES}


def test_the_table_says_how_far_each_file_is_from_its_model_and_why_one_is_not():
    text = table(
        {"head/ksac": RECORD, "whole/swin_tiny": {"failed": "its process ended with status -9: no reason given"}}
    )
    assert "| ksac | 12,345 | 2.5 / 1.0 / 0.9 | 0.25 | fails | 0.25, one size | 0.25, one size |" in text
    assert "- `ksac`, ONNX, ONNX Runtime: it differs by 3" in text
    assert "- `ksac`, tflite is of one size alone: no Loop" in text
    assert "- `swin_tiny`: its process ended with status -9" in text
    assert text.index("## Heads") < text.index("## Backbones as they are") and "ONNX opset 17." in text
    assert "Not tried" not in text and "Not tried yet: `head/caa`.\n" in table({"head/ksac": RECORD}, ["head/caa"])
    assert summary("head/ksac", RECORD).startswith("head/ksac: saved_model 2.5, saved_model 0.25; onnx 1.0, onnx fails")
