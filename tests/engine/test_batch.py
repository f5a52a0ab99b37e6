from freeanchor.engine.batch import StepBatch


def config(images, accumulation=1):
    return dict(
        train_dataloader=dict(batch_size=images),
        optim_wrapper=dict(accumulative_counts=accumulation),
        auto_scale_lr=dict(base_batch_size=16),
    )


def test_accumulated_iterations_count_as_one_step():
    batch = StepBatch.of(config(2, accumulation=4), processes=2)
    assert batch.total == 16
    assert batch.factor == 1


def test_fewer_images_scale_the_rate_down():
    assert StepBatch.of(config(2), processes=1).factor == 1 / 8


def test_without_a_base_nothing_is_scaled():
    cfg = config(2)
    del cfg['auto_scale_lr']
    assert StepBatch.of(cfg, processes=1).factor == 1


def test_it_reads_as_a_product():
    assert str(StepBatch(1, 2, 4)) == '1 process x 2 images x 4 accumulated = 8 a step'
