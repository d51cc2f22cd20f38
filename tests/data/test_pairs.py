"""Parallel texts and captioned images: sides share their samples, no content is in two parts, errors name the row."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from contrasim_core.data import load_data, phrases, resolve_data, scenes
from contrasim_core.data.pairs import PairedData, column_of, overlap, sides_of
from contrasim_core.errors import DataError, SpecError

TABLE = "id\ten\tar\tzh\n" + "".join(f"r{n}\tphrase {n}\tعبارة {n}\t短语{n}\n" for n in range(30))
BOTH = ("image", "caption")


def table(tmp_path, text=TABLE, name="parallel.tsv"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def picture(shade):
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 6, 3), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


ROWS = "".join(f"{n}.png,a caption {n}\n" for n in range(9))


def captioned(tmp_path, rows=ROWS, shades=range(9)):
    folder = tmp_path / "captioned"
    folder.mkdir()
    (folder / "captions.csv").write_text("image,caption\n" + rows, encoding="utf-8")
    for n in shades:
        (folder / f"{n}.png").write_bytes(picture(20 * n))
    return folder


def test_sides_are_the_same_samples_in_other_words(tmp_path):
    file = table(tmp_path)
    sides = ("en", "ar", "zh")
    parts = {
        side: {split: load_data(file, column=column_of(side, sides), split=split) for split in ("train", "test", "all")}
        for side in sides
    }
    for split in ("train", "test", "all"):
        assert len({parts[side][split].samples for side in sides}) == 1
    assert [len(parts["en"][split]) for split in ("train", "test", "all")] == [20, 10, 30]
    assert not set(parts["en"]["train"].samples.ids) & set(parts["en"]["test"].samples.ids)
    by_id = dict(zip(parts["zh"]["test"].samples.ids, parts["zh"]["test"].texts, strict=True))
    assert all(text == f"短语{name[1:]}" for name, text in by_id.items())


def test_a_side_depends_on_the_others_by_what_is_left_out(tmp_path):
    file = table(tmp_path, TABLE + "r30\tphrase 30\tعبارة 3\t短语30\n")  # Arabic was met in r3
    all_three = load_data(file, column=column_of("en", ("en", "ar", "zh")), split="all")
    two = load_data(file, column=column_of("en", ("en", "zh")), split="all")
    assert "r30" in two.samples.ids and "r30" not in all_three.samples.ids


def test_a_limit_takes_the_first_samples_of_a_part(tmp_path):
    file = table(tmp_path)
    column = column_of("en", ("en", "ar"))
    whole, part = (load_data(file, column=column, split="test", limit=limit) for limit in (None, 4))
    assert part.texts == whole.texts[:4] and part.samples.ids == whole.samples.ids[:4]
    assert part.samples.fingerprint != whole.samples.fingerprint


def test_repeats_are_left_out_whatever_their_case_and_spaces():
    data = PairedData(tuple("abcd"), {"en": ("One", "two", " one ", "three"), "tr": ("bir", "iki", "x", "İKI")})
    assert data.distinct().ids == ("a", "b", "d")
    repeated = PairedData(tuple("ab"), {"en": ("x", "y"), "tr": ("same", "same")})
    assert repeated.distinct().ids == ("a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "id\ten\tar\nr1\tone\t\nr2\ttwo\tx\n",
            r"1 rows lack a text; the first is r1 in 'ar'\. Fill in or remove those",
        ),
        ("id\ten\nr1\tone\n", r"parallel\.tsv has no column 'ar'\. Its columns: id, en\. Choose from these columns"),
        ("id\ten\tar\nr1\tone\tx\nr1\ttwo\ty\n", r"sample ids repeat"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_data(table(tmp_path, text), column="en of ar,en", split="all")


def test_parallel_texts_are_read_from_tables_alone(tmp_path):
    with pytest.raises(DataError, match=r"read from \.csv or \.tsv, with one column per language"):
        load_data(table(tmp_path, name="lines.txt"), column="en of ar,en", split="all")


def test_quotation_marks_in_a_tsv_are_text(tmp_path):
    found = load_data(table(tmp_path, 'en\tar\n"Yes\tx\nNo"\ty\n'), column="en of ar,en", split="all")
    assert found.texts == ('"Yes', 'No"')


def test_columns_name_sides():
    assert column_of("en", ("zh", "ar", "en")) == "en of ar,en,zh"
    assert sides_of("en of ar,en,zh") == ("en", ("ar", "en", "zh"))
    assert sides_of("text") is None and sides_of(None) is None
    with pytest.raises(DataError, match="names the side 'ru', which is not one of its sides: ar, en"):
        sides_of("ru of ar,en")


def test_images_and_captions_from_a_folder_a_table_and_zips(tmp_path):
    folder = captioned(tmp_path)
    inside, beside = tmp_path / "inside.zip", tmp_path / "beside"
    beside.mkdir()
    with zipfile.ZipFile(inside, "w") as whole, zipfile.ZipFile(beside / "images.zip", "w") as images:
        for file in folder.iterdir():
            whole.write(file, f"data/{file.name}")
            if file.suffix == ".png":
                images.write(file, file.name)
    (beside / "captions.csv").write_bytes((folder / "captions.csv").read_bytes())
    for source in (folder, folder / "captions.csv", inside, beside, beside / "captions.csv"):
        image, caption = (load_data(source, column=column_of(side, BOTH), split="all") for side in BOTH)
        assert image.samples == caption.samples
        assert (image.modality, caption.modality) == ("image", "text")
        assert caption.texts[3] == "a caption 3"
        assert int(image.images[3][0, 0, 0]) == 60


def test_files_that_an_operating_system_puts_beside_them_are_passed_over(tmp_path):
    folder = captioned(tmp_path)
    archive = tmp_path / "mac.zip"
    with zipfile.ZipFile(archive, "w") as whole:
        for file in folder.iterdir():
            whole.write(file, file.name)
            whole.writestr(f"__MACOSX/._{file.name}", b"resource fork")
    (folder / "._captions.csv").write_bytes(b"resource fork")
    for source in (archive, folder):
        assert len(load_data(source, column=column_of("image", BOTH), split="all")) == 9


def test_a_split_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"This data has no split 'validation'\. It can be: train, test, all\."):
        load_data(captioned(tmp_path), column=column_of("image", BOTH), split="validation")


def test_an_archive_of_images_is_opened_a_few_times_whatever_it_holds(tmp_path, monkeypatch):
    """Its list of files is as long as it holds files: opened for each image, thousands take minutes."""
    folder, archive = captioned(tmp_path), tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as whole:
        for file in folder.iterdir():
            whole.write(file, file.name)
    opened = []
    original = zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args, **more: opened.append(args) or original(*args, **more))
    assert len(load_data(archive, column=column_of("image", BOTH), split="all")) == 9
    assert len(opened) <= 4


def test_one_caption_of_each_image_is_kept(tmp_path):
    rows = "".join(f"{n}.png,caption {n} number {k}\n" for n in range(9) for k in range(3))
    found = load_data(captioned(tmp_path, rows), column=column_of("caption", BOTH), split="all")
    assert found.texts == tuple(f"caption {n} number 0" for n in range(9))


def test_equal_images_are_one_sample(tmp_path):
    folder = captioned(tmp_path)
    (folder / "4.png").write_bytes(picture(0))
    found = load_data(folder, column=column_of("caption", BOTH), split="all")
    assert "4.png" not in found.samples.ids and len(found) == 8


def test_what_is_wrong_with_captions_is_said(tmp_path):
    folder = captioned(tmp_path, shades=range(8))
    column = column_of("image", BOTH)
    with pytest.raises(DataError, match=r"the table names the image 8\.png, which is not beside it"):
        load_data(folder, column=column, split="all")
    (folder / "8.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"8\.png cannot be read as an image"):
        load_data(folder, column=column, split="all")
    (folder / "more.csv").write_text("image,caption\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"contains 2 tables \(captions\.csv, more\.csv\)\. Images with captions need one"
    ):
        load_data(folder, column=column, split="all")
    (folder / "more.csv").unlink()
    (folder / "captions.csv").write_text("name,words\nx,y\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has the columns name, words\. It needs one of image, file, "):
        load_data(folder, column=column, split="all")


def test_the_fingerprint_of_captions_covers_the_images(tmp_path):
    folder = captioned(tmp_path)
    column = column_of("caption", BOTH)
    before = resolve_data(folder / "captions.csv", column=column)
    (folder / "2.png").write_bytes(picture(255))
    assert resolve_data(folder / "captions.csv", column=column).fingerprint != before.fingerprint


def test_overlap_finds_content_of_the_test_in_the_training(tmp_path):
    train = load_data(["one", "Two", "three"])
    test = load_data(["TWO ", "four"])
    assert list(overlap(train, test)) == [1]


def test_phrases_are_thousands_all_different_in_every_language():
    whole = phrases.phrases()
    assert len(whole) > 5000
    for texts in whole.sides.values():
        assert len({" ".join(text.casefold().split()) for text in texts}) == len(whole)
    train, test = whole.part("train"), whole.part("test")
    assert len(train) + len(test) == len(whole)
    assert not set(train.ids) & set(test.ids)
    for number in range(0, len(whole), 101):
        assert len({texts[number] for texts in whole.sides.values()}) == len(phrases.LANGUAGES)


def test_phrases_say_the_same_in_five_languages():
    place = dict(zip(phrases.phrases().ids, range(9999), strict=False))["place-EG"]
    assert {name: texts[place] for name, texts in phrases.phrases().sides.items()} == {
        "ar": "مصر", "en": "Egypt", "ru": "Египет", "tr": "Mısır", "zh": "埃及",
    }  # fmt: skip


def test_scenes_show_what_their_captions_say():
    whole = scenes.scenes()
    assert len({scenes.seen_from_first(scenes.labels_of(name)) for name in whole.ids}) == len(whole) == scenes.COUNT
    assert len(set(whole.sides["caption"])) == len(whole)
    for number in range(40):
        labels = scenes.labels_of(whole.ids[number])
        first, second = (tuple(scenes.COLOURS.values())[labels[k]] for k in (1, 5))
        image, caption = whole.sides["image"][number].astype(int), whole.sides["caption"][number]
        near = [np.argwhere(np.abs(image - colour).sum(2) < 60) for colour in (first, second)]
        axis = 0 if scenes.RELATIONS[tuple(scenes.RELATIONS)[labels[3]]][0] == 0 else 1
        if first != second and min(map(len, near)) > 5:
            apart = near[0][:, axis].mean() - near[1][:, axis].mean()
            assert (apart < 0) == ("above" in caption or "left" in caption), (number, caption)


def test_a_scene_told_from_its_other_shape_is_the_same_scene():
    labels = (1, 0, 2, 0, 0, 3, 4)
    assert scenes.caption(labels, 0) == "a large red triangle above a small yellow ring"
    assert scenes.caption(scenes.turned(labels), 0) == "a small yellow ring below a large red triangle"
    assert scenes.turned(scenes.turned(labels)) == labels
    assert scenes.seen_from_first(scenes.turned(labels)) == labels


def test_bundled_sides():
    english, chinese = (load_data("cldr-phrases", column=name, limit=20) for name in ("en", "zh"))
    assert english.samples == chinese.samples and english.texts != chinese.texts
    assert resolve_data("cldr-phrases").column == "en"
    assert resolve_data("scenes").column == "image"
    image, caption = (load_data("scenes", column=name, limit=20) for name in BOTH)
    assert image.samples == caption.samples
    with pytest.raises(SpecError, match=r"cldr-phrases has no side 'fr'\. It has: en, ar, ru, tr, zh\."):
        resolve_data("cldr-phrases", column="fr")
