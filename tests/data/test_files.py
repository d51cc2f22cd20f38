"""Data of one's own: lists, text files, tables, folders and zips of images; and words for what cannot be used."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from contrasim_core.data import files, load_data, resolve_data
from contrasim_core.data.base import image_inputs, text_inputs, thumbnails_of
from contrasim_core.errors import DataError, SpecError, UnknownDataError
from contrasim_core.refs import DatasetRef
from tests.tiny import image

REF = DatasetRef(name="x", kind="inline", split="all")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def picture(seed=0, size=(6, 5), kind="png", mode="RGB"):
    """An encoded image."""
    stream = io.BytesIO()
    Image.fromarray(image(*size, seed)).convert(mode).save(stream, kind)
    return stream.getvalue()


# ---- lists


def test_a_list_of_texts():
    inputs = load_data([" one ", "two"])
    assert (inputs.modality, inputs.texts, inputs.samples.ids) == ("text", ("one", "two"), ("0", "1"))
    assert inputs.ref.fingerprint == inputs.samples.fingerprint and inputs.ref.kind == "inline"
    assert load_data(["one", "two"], limit=1).texts == ("one",)


def test_a_list_or_array_of_images():
    pictures = [image(4, 6, seed) for seed in range(3)]
    inputs = load_data(pictures)
    assert inputs.modality == "image" and len(inputs) == 3
    assert load_data(np.stack(pictures)).samples.fingerprint == inputs.samples.fingerprint
    np.testing.assert_array_equal(load_data([pictures[0][:, :, 0]]).images[0][:, :, 2], pictures[0][:, :, 0])


def test_fingerprints_cover_content_ids_and_order():
    prints = [
        text_inputs(REF, texts, ids).samples.fingerprint
        for texts, ids in ((["a", "b"], None), (["b", "a"], None), (["a", "c"], None), (["a", "b"], ["x", "y"]))
    ]
    white, black = np.full((4, 6, 3), 255, np.uint8), np.zeros((4, 6, 3), np.uint8)
    prints += [
        image_inputs(REF, pictures).samples.fingerprint
        for pictures in ([white, black], [black, white], [white.reshape(6, 4, 3), black])
    ]
    assert len(set(prints)) == 7


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], r"contains no samples\.$"),
        (["a", "", "b", " "], r"2 texts are empty, such as sample 1\. Remove those rows\.$"),
        ([np.zeros((4, 4, 3))], r"an image has shape \(4, 4, 3\) and type float64\. Expected \[height, width\] or"),
        ([np.zeros((4, 4, 4), np.uint8)], r"an image has shape \(4, 4, 4\) and type uint8"),
        ([np.zeros(4, np.uint8)], r"an image has shape \(4,\)"),
    ],
)
def test_lists_that_cannot_be_used(items, message):
    with pytest.raises(DataError, match=message):
        load_data(items)


def test_ids_are_unique():
    with pytest.raises(DataError, match=r"^x \(all\): sample ids repeat\. Every sample needs a unique id\.$"):
        text_inputs(REF, ["a", "b"], ["same", "same"])


# ---- text files


def test_a_text_file_has_a_sample_per_line(tmp_path):
    path = write(tmp_path / "lines.txt", "first\n\n  third  \nvierte Zeile ü\n")
    inputs = load_data(path)
    assert inputs.texts == ("first", "third", "vierte Zeile ü")
    assert inputs.samples.ids == ("line-1", "line-3", "line-4")
    assert inputs.ref.label == "lines.txt (all)" and load_data(str(path)).samples == inputs.samples
    assert load_data(path, limit=2).samples.ids == ("line-1", "line-3")


def test_a_byte_order_mark_is_no_text(tmp_path):
    assert load_data(write(tmp_path / "a.txt", b"\xef\xbb\xbfone\ntwo")).texts == ("one", "two")


def test_other_encodings_are_told(tmp_path):
    with pytest.raises(DataError, match=r"^latin\.txt is not UTF-8 text .* Save it as UTF-8\.$"):
        load_data(write(tmp_path / "latin.txt", "schön\n".encode("latin-1")))
    with pytest.raises(DataError, match=r"^latin\.csv cannot be read as a table in UTF-8"):
        load_data(write(tmp_path / "latin.csv", "text\nschön\n".encode("latin-1")))


def test_a_file_is_pinned_by_its_content(tmp_path):
    a, b = write(tmp_path / "a.txt", "one\ntwo"), write(tmp_path / "sub" / "b.txt", "one\ntwo")
    assert resolve_data(a).fingerprint == resolve_data(b).fingerprint
    before = resolve_data(a).fingerprint
    assert resolve_data(write(a, "one\ntwo!")).fingerprint != before


# ---- tables


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ","), ("t.tsv", "\t")])
def test_a_table_with_ids(name, separator, tmp_path):
    path = write(tmp_path / name, f"id{separator}text\n7{separator}one\nx{separator}two\n")
    inputs = load_data(path)
    assert (inputs.texts, inputs.samples.ids) == (("one", "two"), ("7", "x"))


def test_parallel_columns_are_chosen_by_name_and_pair(tmp_path):
    path = write(tmp_path / "parallel.csv", 'en,de\nhouse,Haus\n"a, b",c\n')
    english, german = load_data(path, column="en"), load_data(path, column="de")
    assert english.texts == ("house", "a, b") and german.texts == ("Haus", "c")
    assert english.samples.ids == german.samples.ids == ("row-1", "row-2")
    assert english.ref != german.ref


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (
            "en,de\na,b\n",
            None,
            r"has several columns and none called 'text'\. Its columns: en, de\. Name the one with the",
        ),
        ("en,de\na,b\n", "fr", r"has no column 'fr'\. Its columns: en, de\."),
        ("", None, r"cannot be read as a table in UTF-8: No columns"),
        ("text\n", None, r"contains no samples"),
        ("id,text\n1,a\n1,b\n", None, r"sample ids repeat"),
        ("id,text\n1,a\n2,\n", None, r"1 texts are empty, such as sample 2"),
        ("id,text\n1,a\n2\n", None, r"1 texts are empty, such as sample 2"),
        ("text\na\nb,c,d\n", None, r"cannot be read as a table"),
    ],
)
def test_tables_that_cannot_be_used(content, column, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load_data(write(tmp_path / "t.csv", content), column=column)


def test_words_such_as_null_are_texts(tmp_path):
    assert load_data(write(tmp_path / "t.csv", "text\nNA\nnull\n12\n")).texts == ("NA", "null", "12")


# ---- images


def folder_of_images(root):
    write(root / "b.png", picture(1))
    write(root / "a" / "z.JPG", picture(2, kind="jpeg"))
    write(root / "grey.bmp", picture(3, kind="bmp", mode="L"))
    write(root / "notes.txt", "no image")
    write(root / "._b.png", b"what macOS leaves on other disks")
    write(root / "__MACOSX" / "b.png", b"and in zips")
    return root


def test_a_folder_of_images(tmp_path):
    inputs = load_data(folder_of_images(tmp_path / "pictures"))
    assert inputs.samples.ids == ("a/z.JPG", "b.png", "grey.bmp")
    np.testing.assert_array_equal(inputs.images[1], image(6, 5, 1))
    assert all(item.shape == (6, 5, 3) for item in inputs.images)


def test_a_zip_holds_the_same_as_its_folder(tmp_path):
    folder = folder_of_images(tmp_path / "pictures")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    assert load_data(tmp_path / "pictures.zip").samples == load_data(folder).samples


def test_only_as_many_images_are_read_as_asked_for(tmp_path, monkeypatch):
    folder, decoded, real = folder_of_images(tmp_path), [], files.decode_image
    monkeypatch.setattr(files, "decode_image", lambda name, content: decoded.append(name) or real(name, content))
    assert len(load_data(folder, limit=2)) == len(decoded) == 2


def test_a_folder_is_pinned_by_names_and_content(tmp_path):
    folder = tmp_path / "pictures"
    write(folder / "a.png", picture(1))
    prints = [resolve_data(folder).fingerprint]
    write(folder / "a.png", picture(2))
    prints.append(resolve_data(folder).fingerprint)
    (folder / "a.png").rename(folder / "b.png")
    prints.append(resolve_data(folder).fingerprint)
    assert len(set(prints)) == 3


def bomb(side):
    """A tiny file that unpacks to side x side pixels."""
    stream = io.BytesIO()
    Image.new("1", (side, side)).save(stream, "png")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.png", b"no image", r"^broken\.png cannot be read as an image"),
        ("cut.png", picture()[:60], r"^cut\.png cannot be read as an image"),
        ("large.png", bomb(8001), r"^large\.png has 8001 x 8001 pixels\. Shrink it first\.$"),
        ("larger.png", bomb(9600), r"^larger\.png has 9600 x 9600 pixels"),
        ("bomb.png", bomb(13_500), r"^bomb\.png is far too large an image"),
    ],
)
def test_images_that_cannot_be_used(name, content, message, tmp_path):
    write(tmp_path / "f" / name, content)
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / "f")


def test_folders_and_zips_without_images(tmp_path):
    write(tmp_path / "f" / "notes.md", "x")
    with pytest.raises(DataError, match=r"^f \(all\) contains no images \(\.bmp, "):
        load_data(tmp_path / "f")
    with pytest.raises(DataError, match=r"^a\.zip is not a zip file, or it is damaged\.$"):
        load_data(write(tmp_path / "a.zip", "no zip"))


@pytest.mark.parametrize("name", ["a.pdf", "model.pkl", "noending"])
def test_other_types_are_told(name, tmp_path):
    with pytest.raises(
        DataError, match=r"files of type .* are not supported\. Give \.txt \(one text per line\), \.csv or \.tsv"
    ):
        load_data(write(tmp_path / name, "x"))


@pytest.mark.parametrize("name", ["digit", "nowhere/at/all.txt", "/nowhere/x.csv"])
def test_unknown_names_list_the_known_ones(name):
    with pytest.raises(
        UnknownDataError, match=r"Give a bundled name \(digits, photo-patches, python-docs, library-docs, "
    ):
        load_data(name)


def test_limit_is_checked_for_files_too(tmp_path):
    with pytest.raises(SpecError, match="limit is 0"):
        load_data(write(tmp_path / "a.txt", "x"), limit=0)


@pytest.mark.parametrize(("width", "fits"), [(8, True), (9, False)])
def test_an_image_may_have_so_many_pixels_and_no_more(width, fits, monkeypatch):
    monkeypatch.setattr(files, "MAX_PIXELS", 64)
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, width, 3), np.uint8)).save(stream, "PNG")
    if fits:
        assert files.decode_image("x.png", stream.getvalue()).shape == (8, width, 3)
        return
    with pytest.raises(DataError, match=r"^x\.png has 9 x 8 pixels\. Shrink it first\.$"):
        files.decode_image("x.png", stream.getvalue())


def test_thumbnails_are_of_one_size_and_tiny_images_are_enlarged_by_whole_factors():
    small, wide = np.zeros((8, 8, 3), np.uint8), np.zeros((100, 200, 3), np.uint8)
    found = thumbnails_of([small, wide])
    assert found.shape == (2, 48, 48, 3)
    assert not found[0].any(), "8 pixels become 48"
    dark = (found[1] == 0).all(2)
    assert dark.sum() == 48 * 24 and dark[12:36].all(), "the shape is kept, on white"
    assert (found[1][~dark] == 255).all()
    assert ((thumbnails_of([np.zeros((20, 20, 3), np.uint8)])[0] == 0).all(2)).sum() == 40 * 40
