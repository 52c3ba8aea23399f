"""What the headers of the presets claim, with a margin for other processors and versions of torch.

Only presets that train in under a minute. Accuracy varies from seed to seed, so the mean of several is held to the claim.
"""
