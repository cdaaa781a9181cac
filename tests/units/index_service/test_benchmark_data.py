"""The library that `benchmarks.site` fills an index with is one that the index has pages of."""

from __future__ import annotations

from benchmarks.site.data import Library
from tests.units.index_service.reader import Reader


def test_the_library_of_the_benchmark_has_pages(make_site):
    site, library = make_site(), Library(100)
    library.fill(site.engine)
    reader = Reader(site)
    for path in ("/", f"/r/{library.repository(1)}", f"/r/{library.repository(1)}/@tags"):
        assert reader.get(path).status_code == 200, path
    assert reader.api(f"/search?q={library.term(1)}")["paging"]["total"] > 0
