"""Bundled parallel phrases in five languages, from the Unicode CLDR as shipped with the library Babel.

They are names of places, languages, scripts, currencies, time zones and units, and what CLDR's patterns make of them:
dates, amounts, measurements, durations and lists. Every phrase differs from all others in each of the languages.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from contrasim_core.data.pairs import PairedData

LANGUAGES = ("ar", "en", "ru", "tr", "zh")
DATES, AMOUNTS, MEASUREMENTS, DURATIONS, LISTS = 1200, 1000, 900, 300, 1600
Phrases = dict[str, str]


@cache
def phrases() -> PairedData:
    """Return all phrases, names first, in a fixed order."""
    from babel import Locale

    locales = {language: Locale.parse(language) for language in LANGUAGES}
    random = np.random.RandomState(0)
    named = dict(_names(locales))
    made = dict(_composed(locales, random, {name: item for name, item in named.items() if name.startswith("place")}))
    found = {name: item for name, item in {**named, **made}.items() if len(set(item.values())) == len(LANGUAGES)}
    sides = {language: tuple(item[language] for item in found.values()) for language in LANGUAGES}
    return PairedData(tuple(found), sides).distinct()


def _names(locales: Mapping[str, Any]) -> Iterator[tuple[str, Phrases]]:
    """Yield the names that CLDR lists in every language."""
    sources: dict[str, Callable[[Any], Mapping[str, Any]]] = {
        "place": lambda locale: locale.territories,
        "language": lambda locale: locale.languages,
        "script": lambda locale: locale.scripts,
        "currency": lambda locale: locale.currencies,
        "zone": lambda locale: {name: item.get("long", {}).get("standard") for name, item in locale.meta_zones.items()},
        "city": lambda locale: {name: item.get("city") for name, item in locale.time_zones.items()},
        "unit": lambda locale: {
            name: item if isinstance(item, str) else item.get("long")
            for name, item in locale._data["unit_display_names"].items()
        },
    }
    for kind, read in sources.items():
        tables = {language: read(locale) for language, locale in locales.items()}
        for name in sorted(tables["en"]):
            values = {language: table.get(name) for language, table in tables.items()}
            if all(isinstance(value, str) and value.strip() for value in values.values()):
                yield f"{kind}-{name}", {language: " ".join(str(value).split()) for language, value in values.items()}


class _Formats:
    """CLDR's patterns, filled in for each language."""

    def __init__(self, languages: Iterable[str]) -> None:
        self._languages = tuple(languages)

    def each(self, make: Callable[..., Any], *values: Any) -> Phrases:
        """Return the same phrase in every language."""
        return {language: " ".join(str(make(language, *values)).split()) for language in self._languages}

    def date(self, language: str, day: datetime.date) -> str:
        """Return a date, such as `Monday, March 3, 1975`."""
        from babel.dates import format_date

        return format_date(day, "full", locale=language)

    def money(self, language: str, amount: int, code: str) -> str:
        """Return an amount of money, such as `12 euros`."""
        from babel.numbers import format_currency

        return format_currency(amount, code, format_type="name", locale=language, currency_digits=False)

    def measure(self, language: str, amount: int, unit: str) -> Any:
        """Return a measurement, such as `12 kilometers`."""
        from babel.units import format_unit

        return format_unit(amount, unit, "long", locale=language)

    def duration(self, language: str, span: datetime.timedelta) -> str:
        """Return a duration, such as `in 3 days`."""
        from babel.dates import format_timedelta

        return format_timedelta(span, add_direction=True, threshold=2, locale=language)

    def names_of(self, language: str, chosen: Sequence[Phrases]) -> str:
        """Return a list, such as `France, Peru, and Chad`."""
        from babel.lists import format_list

        return format_list([item[language] for item in chosen], locale=language)


def _composed(
    locales: Mapping[str, Any], random: np.random.RandomState, places: Mapping[str, Phrases]
) -> Iterator[tuple[str, Phrases]]:
    """Yield the phrases that CLDR's patterns make, with numbers and names from a fixed seed."""
    written = _Formats(locales)
    first = datetime.date(1950, 1, 1)
    for number in range(DATES):
        yield f"date-{number}", written.each(written.date, first + datetime.timedelta(days=int(random.randint(36_500))))
    codes = sorted(set.intersection(*(set(locale.currencies) for locale in locales.values())))
    for number in range(AMOUNTS):
        yield (
            f"amount-{number}",
            written.each(written.money, int(random.randint(2, 5000)), codes[random.randint(len(codes))]),
        )
    units = sorted(set.intersection(*(set(locale._data["unit_patterns"]) for locale in locales.values())))
    for number in range(MEASUREMENTS):
        unit = units[random.randint(len(units))]
        measured = written.each(written.measure, int(random.randint(2, 1000)), unit)
        if not any(unit in text for text in measured.values()):  # if CLDR has no name, Babel writes the bare code
            yield f"measure-{number}", measured
    for number in range(DURATIONS):
        sign = 1 if random.rand() < 0.5 else -1
        yield (
            f"duration-{number}",
            written.each(written.duration, sign * datetime.timedelta(seconds=int(3 ** random.uniform(2, 19)))),
        )
    names = list(places.values())
    for number in range(LISTS):
        chosen = [names[i] for i in random.choice(len(names), 2 + number % 2, replace=False)]
        yield f"list-{number}", written.each(written.names_of, chosen)
