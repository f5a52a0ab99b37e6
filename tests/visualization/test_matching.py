"""The picture and the page of the matching."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from freeanchor.losses import FreeAnchorLoss
from freeanchor.losses.bag_view import BagView, view_bags
from freeanchor.visualization.lettering import plain_text
from freeanchor.visualization.matched_objects import Moment, largest_first
from freeanchor.visualization.matching import (
    COLUMNS,
    draw_row,
    frame_of,
    limits_of,
    save_matching,
    shades,
)
from freeanchor.visualization.matching_page import Scene, render_page

from ..batches import objects, predictions, sample

IMAGE = np.full((64, 64, 3), 90, np.uint8)


@pytest.fixture
def view() -> BagView:
    truth = objects(sample([[4.0, 6.0, 30.0, 40.0]], [1]), sample([], []))
    return view_bags(FreeAnchorLoss(bag_size=10, iou_thr=0.1), predictions(), truth)[0]


def unclaimed(view: BagView) -> BagView:
    none = torch.zeros(0, 4)
    return replace(view, claiming=none, claimed=none, claims=torch.zeros(0))


def test_a_picture_grows_by_a_row_for_each_moment(tmp_path, view):
    heights = []
    for count in (1, 2, 3):
        moments = [Moment(f'epoch {i}', view) for i in range(count)]
        save_matching(tmp_path / 'bag.png', IMAGE, moments, 'cup')
        with Image.open(tmp_path / 'bag.png') as picture:
            heights.append(picture.height)
    first, second = np.diff(heights)
    assert first == pytest.approx(second, abs=1)
    assert first > 100


@pytest.mark.parametrize('name', ['$^$ bill', '$x$', '_hidden', 'US$'])
def test_names_are_no_mathematics(tmp_path, view, name):
    save_matching(tmp_path / 'bag.png', IMAGE, [Moment(name, view)], name)
    figure = Figure()
    label = figure.suptitle(plain_text(name))
    figure.draw_without_rendering()
    assert label.get_text().replace(r'\$', '$').strip() == name
    assert (tmp_path / 'bag.png').stat().st_size > 0


def test_an_object_that_no_box_claims_is_drawn(tmp_path, view):
    path = tmp_path / 'bag.png'
    save_matching(path, IMAGE, [Moment('epoch 1', unclaimed(view))])
    assert path.stat().st_size > 0


def test_without_a_moment_there_is_no_picture(tmp_path):
    with pytest.raises(ValueError, match='no moment'):
        save_matching(tmp_path / 'bag.png', IMAGE, [])


def test_the_highest_values_are_drawn_last(view):
    for drawn in draw_row(view):
        assert len(drawn.values) > 1
        assert (np.diff(drawn.values) >= 0).all()


def test_the_best_200_claims_are_drawn(view):
    values = torch.linspace(0.01, 1, 300)
    crowd = replace(view, claims=values, claimed=view.box.expand(300, 4))
    drawn = draw_row(crowd)[-1]
    assert len(drawn.values) == 200
    assert drawn.values.min() == pytest.approx(float(values[100]))


def test_equal_shares_are_pale_and_a_share_of_one_is_darkest(view):
    equal = replace(view, weights=torch.full((10,), 0.1))
    sure = replace(view, weights=torch.tensor([0.91] + 9 * [0.01]))
    assert limits_of([Moment('', equal)])[2] == pytest.approx(0.3)
    assert limits_of([Moment('', equal), Moment('', sure)])[2] == pytest.approx(0.91)


def test_what_is_more_is_darker_in_every_column():
    for quantity in COLUMNS:
        red, green, blue, _ = shades(quantity.hue)(np.linspace(0, 1, 20)).T
        assert (np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) < 0).all()


def test_the_frame_holds_the_bag_and_the_object(view):
    x1, y1, x2, y2 = frame_of([view])
    boxes = torch.cat([view.anchors, view.box[None]])
    assert (boxes >= torch.tensor([x1, y1, x1, y1])).all()
    assert (boxes <= torch.tensor([x2, y2, x2, y2])).all()


def test_the_largest_objects_come_first(view):
    small = replace(view, box=torch.tensor([0.0, 0.0, 5.0, 5.0]))
    assert largest_first([small, view, small], 2) == [1, 0]


class Tags(HTMLParser):
    """Counts tags, keeps addresses, and refuses a tag that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag != 'meta':
            self.open.append(tag)
        self.note(attrs)

    def handle_startendtag(self, tag, attrs):
        self.note(attrs)

    def note(self, attrs):
        self.addresses += [x for key, x in attrs if key in ('href', 'src')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(view) -> str:
    moments = [Moment('epoch 1', unclaimed(view)), Moment('epoch <2>', view)]
    return render_page([Scene('a & b.png', IMAGE, [('cup & saucer', moments)])])


def test_the_page_needs_no_script_and_no_network(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert 'script' not in tags.counts
    assert 'link' not in tags.counts
    assert all(x.startswith(('data:image/jpeg', '#')) for x in tags.addresses)
    assert 'url(' not in page


def test_the_page_has_five_panels_for_each_moment(page):
    assert page.count('class="panel"') == 2 * (len(COLUMNS) + 1)
    assert page.count('<tr>') == 1 + 2


def test_names_on_the_page_are_escaped(page):
    assert 'epoch &lt;2&gt;' in page
    assert 'cup &amp; saucer' in page
    assert '<2>' not in page


def test_the_page_tells_the_numbers_of_each_anchor(page, view):
    assert page.count(f'IoU {float(view.overlaps[0]):.2f}</title>') >= 3
