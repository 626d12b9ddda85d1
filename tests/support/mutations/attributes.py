"""Damage to elements: lengths, types, values and order, in a data set, in its sequences or in the meta information."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from support.mutations.elements import EXPLICIT, UNDEFINED, Element, Encoding, File, items, with_items

__all__ = ["ATTRIBUTES", "NASTY", "on_elements"]

Elements = list[Element]
Change = Callable[[Random, Elements, Encoding], Elements]

LENGTHS: Final = (0, 1, 2, 3, 7, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, UNDEFINED)
TYPES: Final = (
    *(b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()),
    *(b"\0\0", b"??", b"ox", b"  ", b"\xff\xff"),
)
NASTY: Final = (
    *(b"", b" ", b"\0", b"\0" * 8, b"\xff" * 8, b"\\", b"\\" * 9, b"1\\2\\3\\4", b"\\1", b"1\\"),
    *(b"0", b"-0", b"-1", b"0.0\\0.0", b"-1\\-1", b"1e-320", b"1e400", b"-1e400", b"nan", b"NaN\\NaN", b"inf", b"-inf"),
    *(b"9" * 16, b"9" * 64, b"1" * 5000, b"0x10", b"1_000", b"1,5", b"1.5.5", b"+-1", "\u0661\u0662".encode(), b"1e"),
    *(b"20261399", b"2026.01.02", b"19000230", b"252525", b"102030.9999999", b"0000Y", b"-01D", b"999Z"),
    *(
        "é漢字🫁".encode(),
        b"\xe9\xfc",
        b"\xff\xfe\xfd",
        b"\x1b$B\x1b(B",
        b"\x1b$)C\x80",
        b"\r\n\t\x07\x1b[31m",
        b"\xc0\x80",
    ),
    *(b"=", b"^=^=^=^", b"A" * 65, b"A" * 1025, b"A" * 65534, b"%s%n{0}", b"../../x", b"<b>&amp;", b"'; --"),
    *(b"1.2.", b".1", b"1..2", b"01.2", b"1.2.840." + b"1" * 80, b"1.2\0\0", b"1.2 ", b"1.2.3\\1.2.4"),
    *(b"PA\\AP", b"LAT", b"L", b"L\\F\\H", b"\\", b"LEFT\\FOOT", b"CHEST\\HEAD", b"MONOCHROME1\\MONOCHROME2", b"RGB"),
    *(b"ISO_IR 192\\ISO 2022 IR 87", b"ISO_IR 999", b"GB18030", b"\\ISO 2022 IR 149", b"utf8", b"ISO_IR 100 "),
    *(struct.pack("<d", value) for value in (float("nan"), float("inf"), 1e308, 0.0)),
    *(struct.pack("<H", value) for value in (0, 1, 7, 255, 0x7FFF, 0x8000, 0xFFFF)),
)
# Rows, Columns, bits, samples, frames; tables; padding.
PIXEL_NUMBERS: Final = (
    *(0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280034, 0x00280100, 0x00280101),
    *(0x00280102, 0x00280103, 0x00280106, 0x00280107, 0x00280120, 0x00280121, 0x00281050, 0x00281051, 0x00281052),
    *(0x00281053, 0x00281056, 0x00283002, 0x00283006),
)
NUMBERS: Final = (
    0,
    1,
    2,
    3,
    4,
    8,
    12,
    15,
    16,
    24,
    32,
    64,
    127,
    129,
    160,
    161,
    255,
    256,
    320,
    8000,
    32767,
    32768,
    65535,
)


def wrong_length(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    """Lie about a length: no delimiter follows an undefined one."""
    index = random.randrange(len(elements))
    true = len(elements[index].value)
    length = random.choice((*LENGTHS, true - 2, true - 1, true + 1, true + 2))
    return _with(elements, index, replace(elements[index], length=length))


def wrong_type(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    index = random.randrange(len(elements))
    return _with(elements, index, replace(elements[index], vr=random.choice(TYPES)))


def nasty_value(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    index = random.randrange(len(elements))
    return _with(elements, index, replace(elements[index], value=random.choice(NASTY)))


def nasty_value_of_same_length(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    index = random.randrange(len(elements))
    length = len(elements[index].value)
    value = (random.choice(NASTY) or b"\0") * (length + 1)
    return _with(elements, index, replace(elements[index], value=value[:length]))


def random_value(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    index = random.randrange(len(elements))
    value = random.randbytes(random.choice((1, 2, 3, 4, 8, 17, 200)))
    return _with(elements, index, replace(elements[index], value=value))


def wrong_number(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    """Describe the pixels otherwise than they are; where a description is absent, add it."""
    tag, number = random.choice(PIXEL_NUMBERS), random.choice(NUMBERS)
    value = random.choice((struct.pack(f"{encoding.order}H", number), b"%d" % number, b"-%d" % number))
    found = [index for index, element in enumerate(elements) if element.tag == tag]
    if found:
        kept = elements[found[0]]
        value = struct.pack(f"{encoding.order}H", number) if kept.vr in (b"US", b"SS") else value
        return _with(elements, found[0], replace(kept, value=value))
    return sorted([*elements, Element(tag, b"US" if len(value) == 2 else b"DS", value)], key=lambda each: each.tag)


def drop(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    index = random.randrange(len(elements))
    return elements[:index] + elements[index + 1 :]


def twice(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    """Repeat an element, with another value perhaps, beside it or at the end."""
    element = random.choice(elements)
    changed = replace(element, value=random.choice((element.value, random.choice(NASTY))))
    index = random.choice((elements.index(element), len(elements)))
    return [*elements[:index], changed, *elements[index:]]


def out_of_order(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    shuffled = list(elements)
    if random.random() < 0.5:
        random.shuffle(shuffled)
        return shuffled
    one, other = random.randrange(len(elements)), random.randrange(len(elements))
    shuffled[one], shuffled[other] = shuffled[other], shuffled[one]
    return shuffled


def other_tag(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    """Give an element another's tag, or one of delimiters, groups, meta information, overlays or nobody."""
    index = random.randrange(len(elements))
    special = (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0, 0x00020010, 0x00080000, 0x60003000, 0x7FE00008, 0xFFFFFFFF)
    tag = random.choice((random.choice(special), random.choice(elements).tag, random.getrandbits(32)))
    return _with(elements, index, replace(elements[index], tag=tag))


def group_length(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    """Say a wrong length of a group."""
    group = random.choice(elements).tag & 0xFFFF0000
    length = struct.pack(f"{encoding.order}L", random.choice(LENGTHS))
    kept = [element for element in elements if element.tag != group]
    return sorted([*kept, Element(group, b"UL", length)], key=lambda element: element.tag)


def deep_sequence(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    """Nest a sequence in itself, up to deeper than programs follow."""
    tag = random.choice((0x00081110, 0x00081111, 0x00081140, 0x00400275, 0x00540220, 0x00091010))
    depth, value = random.choice((3, 20, 50, 100, 200, 1000, 5000)), b""
    start = Element(0xFFFEE000, b"", b"", UNDEFINED).data(encoding)
    opening = Element(tag, b"SQ", start, UNDEFINED).data(encoding)
    end = Element(0xFFFEE00D, b"", b"").data(encoding) + Element(0xFFFEE0DD, b"", b"").data(encoding)
    if random.random() < 0.3:  # nothing closes them
        end = b""
    value = start + opening * depth + end * (depth + 1)
    kept = [element for element in elements if element.tag != tag]
    return sorted([*kept, Element(tag, b"SQ", value, UNDEFINED)], key=lambda element: element.tag)


def many_items(random: Random, elements: Elements, encoding: Encoding) -> Elements:
    """Add a sequence of very many items, or very many elements."""
    count = random.choice((100, 1000, 20000))
    if random.random() < 0.5:
        private = [Element(0x00091000 + number % 0xFFFF, b"LO", b"Leakname") for number in range(count)]
        return [*elements[:-1], *private, elements[-1]]
    tag = random.choice((0x00081110, 0x00081111, 0x00082218, 0x00083010, 0x00400275))
    item = Element(0x00081150, b"UI", b"1.2.3\0")
    sequence = with_items(Element(tag, b"SQ", b""), [[item]] * count, encoding)
    kept = [element for element in elements if element.tag != tag]
    return sorted([*kept, sequence], key=lambda element: element.tag)


def _with(elements: Elements, index: int, element: Element) -> Elements:
    return [*elements[:index], element, *elements[index + 1 :]]


def on_elements(change: Change) -> Callable[[Random, File], File]:
    """Make of a change of elements one of files: in the data set mostly, or in a sequence, or in the meta elements."""

    def changed(random: Random, file: File) -> File:
        where = random.random()
        sequences = [element for element in file.body if element.vr == b"SQ" and element.value]
        if where < 0.15:
            return replace(file, meta=tuple(change(random, list(file.meta), EXPLICIT)))
        if where < 0.3 and sequences:
            sequence = random.choice(sequences)
            contents = items(sequence, file.encoding)
            contents[0] = change(random, contents[0], file.encoding) if contents[0] else []
            index = file.body.index(sequence)
            body = _with(list(file.body), index, with_items(sequence, contents, file.encoding))
            return replace(file, body=tuple(body))
        return replace(file, body=tuple(change(random, list(file.body), file.encoding)))

    return changed


ATTRIBUTES: Final[dict[str, Change]] = {
    change.__name__: change
    for change in (
        deep_sequence,
        drop,
        group_length,
        many_items,
        nasty_value,
        nasty_value_of_same_length,
        other_tag,
        out_of_order,
        random_value,
        twice,
        wrong_length,
        wrong_number,
        wrong_type,
    )
}
