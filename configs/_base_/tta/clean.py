"""Multi-scale testing with each size made from the file; --tta clean.

With tta_pipeline.1.flip_directions=[horizontal] mirrored images are tested too.
"""

tta_model = dict(type='DetTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        # longer and shorter side at most
        scales=[
            (800, 480),
            (1067, 640),
            (1333, 800),
            (1600, 960),
            (1867, 1120),
            (2133, 1280),
        ],
        flip_directions=[],
    ),
]
