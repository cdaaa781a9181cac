"""Search engines, which store and match the bags of words: FTS5 in SQLite, full text search in PostgreSQL.

Neither tokenizes texts itself (module `terms` does). PostgreSQL gets ready `tsvector`s, which need no text search
configuration, no locale and no extension. SQLite's tokenizer gets each word in hexadecimal, which no tokenizer divides.
In both databases a repository's bag is deleted with the repository.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Select,
    SQLColumnExpression,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    false,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR, insert
from sqlalchemy.orm import Session

from index_service.repositories.models import Repository
from index_service.search.terms import And, Expression, Term

TABLE = "search_documents"


def is_search_table(table: str) -> bool:
    """Whether the table belongs to a search engine: such tables have no model, for each database has its own."""
    return table.startswith(TABLE)


class Engine(ABC):
    """A database's implementation; `key` of the `table` is the repository's id."""

    table: Table
    key: ColumnElement[int]

    @abstractmethod
    def put(self, session: Session, bags: Mapping[int, Sequence[str]]) -> None:
        """Store these repositories' bags, replacing the old ones."""

    @abstractmethod
    def compile(self, expression: Expression) -> str:
        """Compile the expression to the database's query language."""

    @abstractmethod
    def match(self, asked: str) -> ColumnElement[bool]:
        """The condition that a row of `table` matches, by its index; `asked` names the expression's parameter."""

    @abstractmethod
    def match_flag(self, asked: str) -> ColumnElement[bool]:
        """The same as a column of the result; false in a database that cannot compute it."""

    @abstractmethod
    def matches_id(self, number: SQLColumnExpression[int], asked: str) -> ColumnElement[bool]:
        """The condition that the repository of this id matches, for few rows."""

    @abstractmethod
    def collect_ids(self, numbers: SQLColumnExpression[int]) -> ColumnElement[str]:
        """All of a column's ids in one text, in a format of its own."""

    @abstractmethod
    def expand_ids(self, asked: str) -> Select[Any]:
        """The ids of such a text, in a parameter, as rows of `id`."""


class PostgresEngine(Engine):
    """A `tsvector` for each repository, under a GIN index."""

    table = Table(TABLE, MetaData(), Column("repository_id", Integer, primary_key=True), Column("words", TSVECTOR))
    key = table.c.repository_id

    def put(self, session: Session, bags: Mapping[int, Sequence[str]]) -> None:
        rows = [{"number": number, "bag": list(words)} for number, words in bags.items()]
        words = func.array_to_tsvector(bindparam("bag", type_=ARRAY(Text)))
        made = insert(self.table).values(repository_id=bindparam("number"), words=words)
        if rows:
            update = {"words": made.excluded.words}
            session.execute(made.on_conflict_do_update(index_elements=["repository_id"], set_=update), rows)

    def compile(self, expression: Expression) -> str:
        return _tsquery(expression)

    def match(self, asked: str) -> ColumnElement[bool]:
        return self.table.c.words.bool_op("@@")(cast(bindparam(asked, type_=Text), TSQUERY))

    def match_flag(self, asked: str) -> ColumnElement[bool]:
        return self.match(asked)

    def matches_id(self, number: SQLColumnExpression[int], asked: str) -> ColumnElement[bool]:
        return select(self.key).where(self.key == number, self.match(asked)).exists()

    def collect_ids(self, numbers: SQLColumnExpression[int]) -> ColumnElement[str]:
        return cast(func.array_agg(numbers), Text)

    def expand_ids(self, asked: str) -> Select[Any]:
        return select(func.unnest(cast(bindparam(asked, type_=Text), ARRAY(Integer))).label("id"))


class SqliteEngine(Engine):
    """An FTS5 table whose row ids are the repositories'."""

    table = Table(TABLE, MetaData(), Column("rowid", BigInteger, primary_key=True), Column("words", Text))
    key = table.c.rowid

    def put(self, session: Session, bags: Mapping[int, Sequence[str]]) -> None:
        rows = [{"rowid": number, "words": " ".join(map(_hexadecimal, words))} for number, words in bags.items()]
        if rows:
            session.execute(delete(self.table).where(self.key.in_(bags)))
            session.execute(self.table.insert(), rows)

    def compile(self, expression: Expression) -> str:
        return _fts5(expression)

    def match(self, asked: str) -> ColumnElement[bool]:
        return literal_column(TABLE).bool_op("MATCH")(bindparam(asked, type_=Text))

    def match_flag(self, asked: str) -> ColumnElement[bool]:
        # MATCH works in a WHERE clause only.
        return false()

    def matches_id(self, number: SQLColumnExpression[int], asked: str) -> ColumnElement[bool]:
        return number.in_(select(self.key).where(self.match(asked)))

    def collect_ids(self, numbers: SQLColumnExpression[int]) -> ColumnElement[str]:
        return func.json_group_array(numbers, type_=Text)

    def expand_ids(self, asked: str) -> Select[Any]:
        numbers = func.json_each(bindparam(asked, type_=Text)).table_valued("value")
        # DISTINCT for the planner, which would scan all repositories for these otherwise.
        return select(numbers.c.value.label("id")).distinct()


def engine_of(session: Session) -> Engine:
    return _ENGINES[session.get_bind().dialect.name]


def full_name() -> ColumnElement[str]:
    """`namespace/name` in lower case, as words are compared with it."""
    return func.lower(Repository.namespace + "/" + Repository.name)


def _tsquery(expression: Expression) -> str:
    if isinstance(expression, Term):
        quoted = expression.word.replace("\\", "\\\\").replace("'", "''")
        return f"'{quoted}'" + (":*" if expression.is_prefix else "")
    sign = " & " if isinstance(expression, And) else " | "
    return "(" + sign.join(map(_tsquery, expression.parts)) + ")"


def _fts5(expression: Expression) -> str:
    if isinstance(expression, Term):
        return f'"{_hexadecimal(expression.word)}"' + ("*" if expression.is_prefix else "")
    sign = " AND " if isinstance(expression, And) else " OR "
    return "(" + sign.join(map(_fts5, expression.parts)) + ")"


def _hexadecimal(word: str) -> str:
    return word.encode("utf-8", "surrogatepass").hex()


_ENGINES: dict[str, Any] = {"postgresql": PostgresEngine(), "sqlite": SqliteEngine()}
