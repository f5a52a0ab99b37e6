from freeanchor.engine.batch import StepBatch
from freeanchor.engine.summary import block, rate_lines, results_table


def test_a_rate_that_suits_the_batch_needs_no_words():
    assert rate_lines(0.01, StepBatch(8, 2, 1, base=16), scaled=False) == [
        ('lr', '0.01')
    ]


def test_a_rate_for_another_batch_is_said_with_what_would_suit():
    text = str(rate_lines(0.01, StepBatch(1, 2, 1, base=16), scaled=False))
    assert 'meant for 16 images a step, not 2' in text
    assert 'would give 0.00125, --auto-scale-lr' in text


def test_a_scaled_rate_is_given_as_it_is_used():
    text = str(rate_lines(0.01, StepBatch(1, 4, 2, base=16), scaled=True))
    assert '0.005 (0.01 for 16 images a step, scaled to 8)' in text


def test_the_best_evaluation_is_marked():
    rows = [
        ('epoch 1', {'coco/bbox_mAP': 0.1, 'coco/bbox_mAP_50': 0.4}),
        ('epoch 2', {'coco/bbox_mAP': 0.3, 'coco/bbox_mAP_50': 0.5}),
        ('epoch 3', {'coco/bbox_mAP': 0.2, 'coco/bbox_mAP_50': 0.6}),
    ]
    head, *lines = results_table(rows)
    assert head.split() == ['Results', 'bbox_mAP', 'bbox_mAP_50']
    assert [line.endswith('best') for line in lines] == [False, True, False]
    assert lines[1].split()[:4] == ['epoch', '2', '0.3000', '0.5000']


def test_a_block_is_a_title_and_two_columns():
    assert block('Title', [('a', '1')]) == '\nTitle\n  a           1'
