"""Multi-scale testing as FreeAnchor's authors did it; --tta official.

Six sizes of the image that the test pipeline has resized already, not flipped.
"""

tta_model = dict(
    type='RescaleTTAModel',
    # shorter side, longer side at most
    scales=[
        (480, 800),
        (640, 1067),
        (800, 1333),
        (960, 1600),
        (1120, 1867),
        (1280, 2133),
    ],
)
