"""The site's texts: every one can be translated, and every catalogue has all of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from babel import dates, numbers
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

import index_service
from index_service.accounts import email_addresses
from index_service.web import error_texts, formats, languages, rendering
from index_service.web.environment import OPTIONS
from tests.units.index_service.reader import Reader

ROOT = Path(index_service.__file__).parent
TEMPLATES = sorted((ROOT / "web" / "templates").rglob("*.*"))
TRANSLATED = [language for language in languages.LANGUAGES if language != languages.DEFAULT]

_PLACEHOLDER = re.compile(r"%\(\w+\)s|%%|</?\w+>")


@pytest.fixture(scope="module")
def used():
    """Every text of templates and code, by itself and its context."""
    with (languages.FOLDER / "babel.cfg").open() as mapping:
        methods, options = parse_mapping_cfg(mapping)
    texts = Catalog()
    keywords = {**DEFAULT_KEYWORDS, "lazy": None}
    for _, _, message, _, context in extract_from_dir(str(ROOT), methods, options, keywords):
        texts.add(message, context=context)
    return {(message.context, message.id): message for message in texts if message.id}


def catalogue(language):
    with (languages.FOLDER / language / "messages.po").open("rb") as source:
        return read_po(source, locale=language, abort_invalid=True)


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_every_text_and_no_other(language, used):
    translated = catalogue(language)
    assert {(message.context, message.id) for message in translated if message.id} == set(used)
    assert not translated.obsolete


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_left_or_doubtful(language):
    for message in catalogue(language):
        if message.id:
            forms = message.string if isinstance(message.string, tuple) else (message.string,)
            assert all(form.strip() for form in forms), message.id
            assert not message.fuzzy, message.id


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_same_places_to_fill_in(language):
    for message in catalogue(language):
        if message.id:
            *_, fullest = message.id if isinstance(message.id, tuple) else (message.id,)
            for form in message.string if isinstance(message.string, tuple) else (message.string,):
                assert sorted(_PLACEHOLDER.findall(form)) == sorted(_PLACEHOLDER.findall(fullest)), message.id


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_words_that_nobody_can_translate(path):
    assert bare_words(path.read_text(encoding="utf-8")) == []


def bare_words(template):
    """What is left of a template without its tags, Jinja's and HTML's, and without names and marks."""
    text = re.sub(r"{%-?\s*trans\b.*?endtrans\s*-?%}|{% block current %}\w*{% endblock %}", " ", template, flags=re.S)
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", " ", text, flags=re.S)
    text = re.sub(r"<!doctype html>|<svg.*?</svg>|<code>.*?</code>", " ", text, flags=re.S)
    shown = re.findall(r"\b(?:title|alt|aria-label|placeholder)=\"([^\"]*)\"", text)
    text = re.sub(r"<[^>]*>", " ", text)
    # A macro may write the attributes of a tag that another one opens.
    text = re.sub(r"[\w-]+=\"[^\"]*\"|\b(?:Wharfinger|[Dd]ocker)\b", " ", text)
    return re.findall(r"[^\W\d_]{2,}", " ".join([text, *shown]))


def test_the_search_for_bare_words_finds_some():
    assert bare_words('<p title="Loose">{{ _("Fine") }} Bare</p>') == ["Bare", "Loose"]


def test_what_a_text_is_filled_with_is_escaped(site):
    page = Reader(site).send("/reset", email="<b>x@example.com")
    assert "<b>" not in page.text or not page.all("b")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ([], "en"),
        ([("zh-CN", 1.0), ("en", 0.5)], "zh"),
        ([("zh_Hans", 1.0)], "zh"),
        ([("fr", 1.0), ("zh", 0.1)], "zh"),
        ([("zh", 0.0), ("en", 1.0)], "en"),
        ([("*", 1.0)], "en"),
    ],
)
def test_the_best_language_is_the_first_that_we_speak(accepted, language):
    assert languages.best(accepted) == language


def test_numbers_sizes_and_plurals_are_each_languages_own():
    assert formats.size(0) == "0\u00a0B"
    assert formats.size(999) == "999\u00a0B"
    assert formats.size(1_234_567) == "1.2\u00a0MB"
    assert formats.size(999_960) == "1.0\u00a0MB"
    assert formats.size(123_456_789_012) == "123\u00a0GB"
    assert formats.compact(12_345) == "12.3K"
    assert languages.ngettext("%(num)s day", "%(num)s days", 1) == "1 day"
    assert languages.ngettext("%(num)s day", "%(num)s days", 2) == "2 days"
    with languages.speaking("zh"):
        assert formats.compact(12_345) == "1.2万"
        assert languages.ngettext("%(num)s day", "%(num)s days", 2) == "2 天"
    assert languages.current() == "en"


def test_a_limit_is_told_with_its_number_in_each_language():
    failure = email_addresses.TooManyAddresses()
    assert failure.message == "Limit of 10 email addresses per account reached"
    assert error_texts.explain(failure) == error_texts.explanation(409, failure.message) == failure.message
    with languages.speaking("zh"):
        assert error_texts.explain(failure) == error_texts.explanation(409, failure.message)
        assert error_texts.explain(failure) == "您的邮箱数量已达上限（10 个）"


def test_moments_are_told_from_now(site):
    now = site.clock()
    site.clock.move(days=3)
    assert formats.ago(now, site.clock()) == "3 days ago"
    assert formats.ago(site.clock(), site.clock()) == "just now"
    assert formats.absolute(now) == "8 Jun 2015, 12:00:00 UTC"
    with languages.speaking("zh"):
        assert formats.ago(now, site.clock()) == "3天前"


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_what_is_remembered_is_what_babel_writes(language):
    date = datetime(2015, 6, 8, 3, 4, 59, tzinfo=timezone(timedelta(hours=-8)))
    with languages.speaking(language):
        locale = languages.locale()
        assert formats.absolute(date) == dates.format_datetime(date.astimezone(UTC), "medium", locale=locale) + " UTC"
        for minutes in (1, -1, 59, -90, -60 * 30, -60 * 24 * 8, -60 * 24 * 100, -60 * 24 * 900, 60 * 24 * 400):
            told = dates.format_timedelta(timedelta(minutes=minutes), add_direction=True, locale=locale)
            assert formats.ago(date + timedelta(minutes=minutes), date) == told
        for count in (7, 12_345, 1_234_567):
            assert formats.number(count) == numbers.format_decimal(count, locale=locale)
        for amount in (1.04, 1.05, 1.349, 9.96, 99.94):
            assert (
                formats.size(int(amount * 1000))
                == numbers.format_decimal(round(amount, 1), "0.0", locale=locale) + "\u00a0kB"
            )


def test_each_language_is_remembered_apart():
    date = datetime(2015, 6, 8, tzinfo=UTC)
    shown = []
    for language in ("en", "zh", "en"):
        with languages.speaking(language):
            shown.append((formats.compact(12_345), formats.absolute(date), formats.ago(date, date + timedelta(days=3))))
    assert shown[0] == shown[2] != shown[1]


def test_a_template_that_is_given_too_little_fails():
    assert OPTIONS["undefined"].__name__ == "StrictUndefined"


def test_browsers_are_known_by_what_they_call_themselves():
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
    safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile/15E148 Safari/604.1"
    assert formats.browser_name(firefox) == "Firefox on Linux"
    assert formats.browser_name(safari) == "Safari on iOS"
    assert formats.browser_name("curl/8.0") == "curl/8.0"
    assert formats.browser_name("") == "Unknown browser"


def test_a_template_is_compiled_with_its_texts(site):
    """Each language's own; what is to be filled in is looked up where it is shown."""
    chinese = site.app.extensions[rendering.EXTENSION]["zh"]
    with languages.speaking("en"):
        assert chinese.from_string('{{ _("Search") }}').render() == catalogue("zh").get("Search").string
        assert chinese.from_string('{{ _("Search for %(query)s", query="<b>") }}').render() == "Search for &lt;b&gt;"
    assert chinese.from_string('{{ _("Nobody has this & that.") }}').render() == "Nobody has this & that."
