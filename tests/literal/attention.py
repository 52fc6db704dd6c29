"""The attentions of the compared papers on one image, in loops over pixels, channels and classes."""

import numpy as np

from tests.literal.caa import softmax


def self_attention(query, key, value):
    """Every pixel attends to every pixel: [H, W, D], [H, W, D], [H, W, C] -> [H, W, C]."""
    places = list(np.ndindex(query.shape[:2]))
    result = np.zeros(value.shape)
    for place in places:
        weights = softmax([query[place] @ key[other] for other in places])
        result[place] = sum(weight * value[other] for weight, other in zip(weights, places, strict=True))
    return result


def criss_cross_attention(query, key, value):
    """CCNet, Eq. 2 without the shortcut: the H + W − 1 pixels of one's column and row."""
    height, width, _ = query.shape
    result = np.zeros(value.shape)
    for i, j in np.ndindex(height, width):
        places = [(m, j) for m in range(height)] + [(i, n) for n in range(width) if n != j]
        weights = softmax([query[i, j] @ key[place] for place in places])
        result[i, j] = sum(weight * value[place] for weight, place in zip(weights, places, strict=True))
    return result


def channel_attention(features):
    """DANet, Eq. 3 and 4 without the shortcut: channel j gathers the channels i."""
    channels = features.shape[-1]
    result = np.zeros(features.shape)
    for j in range(channels):
        weights = softmax([np.sum(features[..., i] * features[..., j]) for i in range(channels)])
        for i in range(channels):
            result[..., j] += weights[i] * features[..., i]
    return result


def region_features(pixels, logits):
    """OCR, Eq. 4: f_k = Σ_i m_ki x_i with m_k the softmax of class k's logits over the pixels; [P, C], [P, K] -> [K,
    C]."""
    return np.array([sum(m * x for m, x in zip(softmax(column), pixels, strict=True)) for column in logits.T])


def region_attention(query, key, value):
    """OCR, Eq. 2 and 3: pixels [P, D] attend to regions [K, D], [K, C], scaled by 1/√D -> [P, C]."""
    result = []
    for pixel in query:
        weights = softmax([pixel @ region / np.sqrt(len(pixel)) for region in key])
        result.append(sum(weight * region for weight, region in zip(weights, value, strict=True)))
    return np.array(result)


def prior_contexts(prior, aggregated):
    """CPNet: what a pixel gathers of its own class and of the others; [P, p], [p, C] -> two [P, C]."""
    own, others = (np.zeros([len(prior), aggregated.shape[1]]) for _ in range(2))
    for pixel, row in enumerate(prior):
        for place, probability in enumerate(row):
            own[pixel] += probability * aggregated[place] / len(row)
            others[pixel] += (1 - probability) * aggregated[place] / len(row)
    return own, others
