"""PyTorch's side of the comparisons of whole networks, run by an interpreter that has segmentation_models_pytorch.

With it comes torchvision.

    python torch_deeplab.py '{"network": "resnet50", "form": "published", "mode": "forward", …}'

It imports nothing of this project. It greets with one line of JSON, what it has built, and makes a turn for each line
that it reads. Of the two orders in which PyTorch holds maps in memory it takes the one that is faster here.
"""

import collections
import json
import sys
import time

import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

ENCODERS = {
    "resnet50": "resnet50",
    "efficientnet_lite0": "timm-tf_efficientnet_lite0",
    "efficientnet_b0": "timm-efficientnet-b0",
    "mobilenet_v2": "mobilenet_v2",
}
RATES, CLASSES, IGNORED = (6, 12, 18), 21, 255
PARTS = {  # by the beginning of a name, the longest first
    "encoder.": "backbone",
    "backbone.": "backbone",
    "decoder.": "context and decoder",
    "segmentation_head.": "classifier",
    "classifier.4.": "classifier",  # torchvision's, of which four other modules are before the last one
    "classifier.": "context and decoder",
}
ORDERS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}


def shipped(network):
    """segmentation_models_pytorch's DeepLabV3+."""
    return smp.DeepLabV3Plus(
        ENCODERS[network],
        encoder_weights=None,
        encoder_output_stride=16,
        decoder_atrous_rates=RATES,
        classes=CLASSES,
    )


def published(network):
    """The same as it was published, and as ours is: both 3×3 convolutions of the decoder at stride 4, every depthwise
    one normalized, no layer of a classifier."""
    model = shipped(network)
    encoder, channels = model.encoder, list(model.encoder.out_channels)
    if network == "mobilenet_v2":  # the 1×1 convolution to 1280 channels
        encoder.features[-1], channels[-1] = nn.Identity(), 320
    if network.startswith("efficientnet"):  # the same, which is there and not used
        encoder.conv_head = encoder.bn2 = nn.Identity()
    kind = type(model.decoder)
    decoder = kind(channels, 5, 256, RATES, 16, aspp_separable=True, aspp_dropout=0.5)
    for module in [m for m in decoder.modules() if type(m).__name__ == "SeparableConv2d"]:
        module.insert(1, nn.BatchNorm2d(module[0].out_channels))
        module.insert(2, nn.ReLU())
    pyramid, *second = decoder.aspp
    decoder.aspp, decoder.block2 = nn.Sequential(pyramid), nn.Sequential(*decoder.block2, *second)
    model.decoder = decoder
    return model


class TorchvisionDeepLab(torchvision.models.segmentation.DeepLabV3):
    """torchvision's DeepLabV3 at output stride 8, with its logits alone for an output."""

    def forward(self, images):
        return super().forward(images)["out"]


def of_torchvision(network):
    """The network of `torchvision.models.segmentation.deeplabv3_<network>`, without an auxiliary classifier."""
    make = getattr(torchvision.models.segmentation, f"deeplabv3_{network}")
    made = make(weights=None, weights_backbone=None, num_classes=CLASSES)
    return TorchvisionDeepLab(made.backbone, made.classifier)


FORMS = {"published": published, "shipped": shipped, "torchvision": of_torchvision}


def part_of(name):
    """The part of the network that a module or weight of this name belongs to."""
    return next(part for beginning, part in PARTS.items() if f"{name}.".startswith(beginning))


def counts(model, image):
    """{part: [weights, moving averages among them, and multiply-adds of its convolutions]} for one image."""
    products = collections.Counter()

    def counting(part):
        def hook(module, _, output):
            products[part] += output[0, 0].numel() * module.weight.numel()

        return hook

    hooks = [
        module.register_forward_hook(counting(part_of(name)))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    model.eval()
    with torch.inference_mode():
        model(image)
    for hook in hooks:
        hook.remove()
    weights = collections.Counter()
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            weights[part_of(name)] += tensor.numel()
    return {part: [weights[part], products[part]] for part in weights}


def forward(model, images):
    """A turn: the logits of the images."""
    model.eval()

    def turn():
        with torch.inference_mode():
            model(images)

    return turn


def training(model, images, labels):
    """A turn: cross-entropy, gradients, a step of SGD with momentum."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def turn():
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels, ignore_index=IGNORED).backward()
        optimizer.step()

    return turn


def evaluation(model, images, labels, scales, flip):
    """A turn: the confusion matrix of all images, one by one, each at all scales; returns the pixels counted."""
    from torchmetrics.classification import MulticlassConfusionMatrix

    model.eval()
    matrix = MulticlassConfusionMatrix(CLASSES, ignore_index=IGNORED)

    def turn():
        matrix.reset()
        with torch.inference_mode():
            for image, truth in zip(images.split(1), labels.split(1), strict=True):
                total = torch.zeros(())
                for scale in scales:
                    sides = [int(scale * side) for side in image.shape[2:]]
                    scaled = image if scale == 1 else resized(image, sides)
                    logits = model(scaled)
                    if flip:
                        logits = logits + model(scaled.flip(3)).flip(3)
                    total = total + (logits if scale == 1 else resized(logits, image.shape[2:]))
                matrix.update(total.argmax(1), truth)
        return int(matrix.compute().sum())

    return turn


def resized(maps, size):
    """Bilinear, corners aligned."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=True)


def made(model, order, mode, *, images, size, **options):
    """The turn of a mode on random images in one order in memory."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(images, 3, *size, generator=generator).contiguous(memory_format=ORDERS[order])
    labels = torch.randint(0, CLASSES, (images, *size), generator=generator)
    model = model.to(memory_format=ORDERS[order])
    if mode == "forward":
        return forward(model, pictures)
    return {"training": training, "evaluation": evaluation}[mode](model, pictures, labels, **options)


def seconds(turn):
    """Of the fastest of three turns, after one."""
    turn()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        turn()
        times.append(time.perf_counter() - start)
    return min(times)


def main(*, network, form, threads, mode, **options):
    """Greets and makes turns."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = FORMS[form](network)
    counted = counts(model, torch.zeros(1, 3, *options["size"]))
    tried = "training" if mode == "training" else "forward"
    trial = {name: options[name] for name in ("images", "size")}
    times = {order: seconds(made(model, order, tried, **trial)) for order in ORDERS}
    order = min(times, key=times.get)
    turn = made(model, order, mode, **options)
    pixels = turn()
    print(json.dumps({"counts": counted, "order": order, "seconds": times, "pixels": pixels}), flush=True)
    for _ in sys.stdin:
        turn()
        print("done", flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
