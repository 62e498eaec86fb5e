"""Boxes follow their pictures to another size, and never to another shape."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.boxes.sizes import to_pictures
from pipeline.errors import BadData

IDS = pd.Series([str(2**64 - 1), "7", "8"], name="image_id")
ANNOTATED = np.array([[1024, 683], [640, 480], [100, 100]])
BOXES = pd.DataFrame(
    {
        "image_id": ["7", str(2**64 - 1), "7"],
        "category_id": ["1", "2", "1"],
        "left": [0.0, 512.0, 320.0],
        "top": [0.0, 0.0, 240.0],
        "width": [640.0, 512.0, 10.0],
        "height": [480.0, 683.0, 20.0],
        "crowd": False,
    }
)


def test_boxes_are_scaled_with_pictures_of_the_same_shape_and_the_others_stay() -> None:
    true = np.array([[320, 213], [640, 480], [100, 100]])  # of another scale across than down: whole pixels
    scaled, (note,) = to_pictures(BOXES, IDS, ANNOTATED, true)
    np.testing.assert_allclose(scaled.iloc[1][["left", "top", "width", "height"]].tolist(), [160, 0, 160, 213])
    pd.testing.assert_frame_equal(scaled.iloc[[0, 2]], BOXES.iloc[[0, 2]])
    assert scaled["category_id"].tolist() == ["1", "2", "1"]
    assert f"1 pictures have another size than their annotations say, first image_id {2**64 - 1}" in note
    assert "annotated 1024 x 683, the picture 320 x 213" in note


def test_pictures_of_the_annotated_size_leave_the_boxes_alone() -> None:
    same, notes = to_pictures(BOXES, IDS, ANNOTATED, ANNOTATED.copy())
    assert same is BOXES
    assert notes == ()


@pytest.mark.parametrize(
    ("true", "found"),
    [
        ([640, 480], "640 x 480"),  # cut off at the side
        ([683, 1024], "683 x 1024"),  # turned
        ([1024, 669], "1024 x 669"),
    ],
)
def test_another_shape_is_refused_with_count_image_both_sizes_and_the_cure(true: list[int], found: str) -> None:
    with pytest.raises(
        BadData,
        match=rf"1 pictures .* first image_id {2**64 - 1}: annotated 1024 x 683, the picture {found}\..* Bring the pictures",
    ):
        to_pictures(BOXES, IDS, ANNOTATED, np.array([true, *ANNOTATED[1:].tolist()]))


def test_a_turned_picture_is_refused_also_where_it_is_nearly_square() -> None:
    with pytest.raises(BadData, match=r"2 pictures .* first image_id 8: annotated 399 x 400, the picture 400 x 399"):
        to_pictures(BOXES, IDS[2:].repeat(2), np.full((2, 2), [399, 400]), np.full((2, 2), [400, 399]))
